"""`import stnopt` and `stnopt --help` load nothing heavy, and every public name is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import stnopt

HEAVY = ("highspy", "joblib", "matplotlib", "pyomo", "scipy", "sklearn", "skops")
SOURCE = Path(stnopt.__file__).read_text(encoding="utf-8")
#: What type checkers are told, read from the text: they do not run the table.
TOLD = dict(
    (name, module)
    for module, name in re.findall(r"^    from (\S+) import (\w+) as \2$", SOURCE, re.MULTILINE)
)


def loaded_after(code: str) -> set[str]:
    told = f"import sys\n{code}\nprint('LOADED', *sys.modules)"
    run = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    return set(run.stdout.partition("LOADED")[2].split())


def test_every_public_name_resolves_to_what_type_checkers_are_told():
    assert set(stnopt.__all__) == set(TOLD)
    for name, module in TOLD.items():
        found = getattr(stnopt, name)
        assert found is getattr(sys.modules[module], name)
        assert name in dir(stnopt)


def test_a_name_that_is_also_a_module_is_the_function():
    loaded = "import stnopt.scheduling.search.find_schedule, stnopt.solvers.solve, stnopt"
    code = f"{loaded}\nassert callable(stnopt.find_schedule) and callable(stnopt.solve)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'find_scedule'"):
        _ = stnopt.find_scedule
    with pytest.raises(ImportError, match="cannot import name 'find_scedule'"):
        exec("from stnopt import find_scedule")


@pytest.mark.parametrize(
    "code",
    [
        "import stnopt",
        "from stnopt.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
        "from stnopt.cli import main\ntry: main(['region', '--help'])\nexcept SystemExit: pass",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(code):
    loaded = loaded_after(code)
    assert "stnopt" in loaded
    assert not loaded & set(HEAVY)
