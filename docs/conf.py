"""Sphinx configuration: MyST pages, NumPy docstrings, and nothing fetched while building."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "stnopt"
author = "The stnopt developers"
project_copyright = f"2026, {author}"
release = version = installed_version("stnopt")

extensions = [
    "api_table",
    "myst_parser",
    "sphinx.ext.autodoc",
    "mathml",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_ext", "examples"]
html_theme = "furo"
html_math_renderer = "mathml"
# Pages elsewhere change without us; what stands on our own pages is checked with every build.
linkcheck_ignore = [r"https?://"]
html_title = f"stnopt {release}"

myst_enable_extensions = ["amsmath", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# The examples are run, so that what their pages show is what they print.
sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"\.py$",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

# A class documents its fields in its own docstring; as `:ivar:` they are not described twice.
napoleon_google_docstring = False
napoleon_use_ivar = True
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
# Signatures show the hints; the docstring says what they mean.
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
# Two rooms may use one word, such as `solve`: a reference by name alone then finds both.
suppress_warnings = ["ref.python"]
