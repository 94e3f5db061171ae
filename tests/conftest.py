"""What every test relies on: no screen, and no verdict that depends on the machine's load."""

import matplotlib as mpl
from hypothesis import settings

mpl.use("Agg")
settings.register_profile("suite", deadline=None, derandomize=True)
settings.load_profile("suite")
