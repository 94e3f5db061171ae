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


def test_the_page_s_image_has_what_the_page_needs_and_is_built_by_the_same_script():
    text = (ROOT / "container" / "Containerfile.page").read_text("utf-8")
    assert "'.[page,excel]'" in text
    assert {"page", "excel"} <= set(PROJECT["optional-dependencies"])
    recipe = (ROOT / "Makefile").read_text("utf-8")
    assert "container/build.sh stnopt-page container/Containerfile.page" in recipe
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, flags=re.MULTILINE):
        for source in line.split():
            assert {f"!{source}", f"!{source}/**"} & set(ignored), source


def test_the_core_needs_nothing_of_the_extras():
    optional = {"skops", "openpyxl", "nicegui", "plotly", "shtab", "gurobipy", "pyscipopt"}
    assert not optional & {re.split(r"\W", line)[0] for line in PROJECT["dependencies"]}
    for extra in ("excel", "page", "gurobi", "reactor", "completion"):
        assert PROJECT["optional-dependencies"][extra]
