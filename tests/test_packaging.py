"""What is said twice about the package is said alike."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
CONDA = yaml.safe_load(
    (ROOT / "conda" / "meta.yaml").read_text("utf-8").replace("{{ PYTHON }}", "")
)


def test_the_conda_recipe_asks_for_the_same_packages():
    asked = {re.sub(r"\s", "", line) for line in CONDA["requirements"]["run"]}
    asked = {line.replace("matplotlib-base", "matplotlib") for line in asked}
    # An upper bound or a marker may follow in pip's form only after a comma or a semicolon.
    wanted = {re.sub(r"\s", "", line).split(";")[0] for line in PROJECT["dependencies"]}
    assert asked == wanted | {f"python{PROJECT['requires-python']}"}


def test_the_conda_recipe_has_the_version_and_the_commands():
    assert CONDA["package"] == {"name": "stnopt", "version": PROJECT["version"]}
    commands = {f"{name} = {where}" for name, where in PROJECT["scripts"].items()}
    assert set(CONDA["build"]["entry_points"]) == commands


def test_public_hosting_runs_what_everybody_runs():
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    steps = yaml.safe_load(workflow)["jobs"]["run"]["steps"]
    assert [step["run"] for step in steps if "run" in step] == ["bash .ci/run"]
