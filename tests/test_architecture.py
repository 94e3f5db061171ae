"""The import contract of pyproject.toml holds, can fail, and has the picture that the docs show."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("stnopt", "reactor_yield")


def lint_imports(project: Path) -> subprocess.CompletedProcess[str]:
    # The folder it runs in comes first on the path, before any installed copy.
    command = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    return subprocess.run(
        [sys.executable, "-c", command, "--config", "pyproject.toml", "--no-cache", "--no-logo"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the sources to break."""
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    return tmp_path


def test_imports_keep_the_contract():
    run = lint_imports(ROOT)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("stnopt/plant/network.py", "import stnopt.scheduling", "Data goes one way"),
        ("stnopt/errors.py", "import stnopt.solvers.solve", "Data goes one way"),
        ("stnopt/plot/style.py", "import stnopt.cli", "Data goes one way"),
        ("stnopt/unlisted_room.py", "", "Data goes one way"),
        ("stnopt/plant/network.py", "import reactor_yield", "The two packages meet"),
        ("reactor_yield/__init__.py", "import stnopt", "The two packages meet"),
        ("reactor_yield/__init__.py", "import pyomo.environ", "Pyomo only"),
        ("stnopt/feasibility/samples.py", "import pyomo.environ", "Pyomo only"),
        ("stnopt/scheduling/schedule.py", "import stnopt.solvers.solve", "Nouns know no model"),
        ("stnopt/feasibility/region.py", "import sklearn.svm", "Nouns know no model"),
        ("stnopt/feasibility/labelling.py", "import highspy", "Only solve names a solver"),
        ("stnopt/embedding/constraint.py", "import sklearn.svm", "scikit-learn in stnopt"),
        ("stnopt/solvers/solve.py", "import matplotlib.pyplot", "Matplotlib only"),
        ("stnopt/scheduling/schedule.py", "import yaml", "Plant files are parsed"),
    ],
)
def test_a_forbidden_import_breaks_the_contract(
    project: Path, module: str, line: str, contract: str
):
    with (project / module).open("a") as source:
        source.write(f"\n{line}\n")
    run = lint_imports(project)
    assert run.returncode != 0
    assert re.search(rf"^{contract}.* BROKEN", run.stdout, flags=re.MULTILINE), (
        run.stdout + run.stderr
    )


def test_the_architecture_page_names_every_module():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py"
    }
    assert set(re.findall(r"`((?:stnopt|reactor_yield)/[\w/]+\.py)`", page)) == modules


@pytest.mark.parametrize("name", ["uv.lock", "constraints.txt"])
def test_pins_name_no_address(name: str):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text, f"{name} holds addresses of whoever locked: run `make lock`"


def test_both_pin_files_hold_the_same_versions():
    lock = (ROOT / "uv.lock").read_text(encoding="utf-8")
    locked = dict(re.findall(r'^name = "(.+)"\nversion = "(.+)"$', lock, flags=re.MULTILINE))
    constraints = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    constrained = dict(re.findall(r"^([\w.-]+)==(\S+)", constraints, flags=re.MULTILINE))
    assert locked.pop("stnopt")
    assert constrained == locked
