"""Importing the package is cheap, and every public name is there."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import reactor_yield


def test_importing_loads_no_heavy_package():
    program = (
        "import sys, reactor_yield; heavy = {'scipy', 'sklearn', 'matplotlib', 'pandas', 'skops'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_commands_help_loads_no_heavy_package():
    program = (
        "import sys\nfrom reactor_yield.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'scipy', 'sklearn', 'matplotlib', 'skops'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_every_name_for_type_checkers_is_there_at_run_time():
    tree = ast.parse(Path(reactor_yield.__file__).read_text())
    told = {
        (node.module, alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("reactor_yield")
        for alias in node.names
    }
    assert {name for _, name in told} <= set(dir(reactor_yield))
    for module, name in told:
        assert getattr(reactor_yield, name) is getattr(sys.modules[module], name)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        reactor_yield.nothing  # noqa: B018


def test_the_module_is_the_command():
    done = subprocess.run(
        [sys.executable, "-m", "reactor_yield", "check", "nowhere.csv"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "reactor-yield: nowhere.csv does not exist\n"
