"""The import contract of pyproject.toml holds, can fail, and has the picture that the docs show."""

from __future__ import annotations

import importlib
import re
import shutil
import subprocess
import sys
import tomllib
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
        pytest.param(
            "stnopt/errors.py",
            "import stnopt.solvers.solve",
            "Data goes one way",
            marks=pytest.mark.long,
        ),
        pytest.param(
            "stnopt/plot/style.py", "import stnopt.cli", "Data goes one way", marks=pytest.mark.long
        ),
        pytest.param("stnopt/unlisted_room.py", "", "Data goes one way", marks=pytest.mark.long),
        ("stnopt/plant/network.py", "import reactor_yield", "The two packages meet"),
        pytest.param(
            "reactor_yield/__init__.py",
            "import stnopt",
            "The two packages meet",
            marks=pytest.mark.long,
        ),
        ("reactor_yield/__init__.py", "import pyomo.environ", "Pyomo only"),
        pytest.param(
            "stnopt/feasibility/samples.py",
            "import pyomo.environ",
            "Pyomo only",
            marks=pytest.mark.long,
        ),
        ("stnopt/scheduling/schedule.py", "import stnopt.solvers.solve", "Nouns know no model"),
        pytest.param(
            "stnopt/feasibility/region.py",
            "import sklearn.svm",
            "Nouns know no model",
            marks=pytest.mark.long,
        ),
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


def test_the_architecture_page_points_at_functions_that_are_there():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    guide = page.partition("## Where do I go for")[2]
    named = re.findall(r"`([\w/]+\.py)`: `(\w+)`", guide)
    assert len(named) > 2
    for path, name in named:
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^ *(def|class) {name}\b", text, flags=re.MULTILINE), (path, name)
    for folder in re.findall(r"`([\w/]+/)`", guide):
        assert (ROOT / folder).is_dir(), folder


def test_the_api_page_has_a_room_for_every_public_name(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "_ext"))
    api_table = importlib.import_module("api_table")
    for package in PACKAGES:
        names = api_table.public_names(package)
        table = api_table.write_table(names)
        assert set(re.findall(r"<([\w.]+)>", table)) == {
            f"{module}.{name}" for name, module in names.items()
        }
        for name, module in names.items():
            home = importlib.import_module(module)
            assert getattr(home, name) is getattr(importlib.import_module(package), name)


def test_one_version_everywhere():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    version = re.escape(project["project"]["version"])
    for name, line in {
        "CITATION.cff": rf"^version: {version}$",
        "uv.lock": rf'^name = "stnopt"\nversion = "{version}"$',
        "CHANGELOG.md": rf"^## \[{version}\] - \d{{4}}-\d\d-\d\d$",
    }.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        assert re.search(line, text, flags=re.MULTILINE), name


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


def test_no_two_test_files_share_a_name():
    # pytest takes them for one module, and only where the caches are fresh.
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
