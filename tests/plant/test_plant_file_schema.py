"""The JSON Schema for editors: it takes every plant that the reader takes, and knows every key."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from stnopt import Order, State, Suitability, Unit, list_examples
from stnopt.cli import main
from stnopt.plant.schema import plant_file_schema
from stnopt.plant.source import EXAMPLES

ROOT = Path(__file__).parents[2]
SCHEMA = plant_file_schema()
CHECK = jsonschema.Draft202012Validator(SCHEMA)
FILES = [
    *sorted(EXAMPLES.glob("*.yaml")),
    *sorted((ROOT / "case_studies").glob("*/*.yaml")),
]


class Loader(yaml.SafeLoader):
    """Dates stay text, as in the library's own reader."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_plant_file_of_the_project_fits(path):
    document = yaml.load(path.read_text(encoding="utf-8"), Loader)
    if "plant" in document or "states" in document:
        assert not [error.message for error in CHECK.iter_errors(document)]


def test_there_are_files_to_check():
    assert len(FILES) > len(list_examples())


@pytest.mark.parametrize(
    ("name", "noun", "but"),
    [
        ("state", State, {"name"}),
        ("terms", Suitability, {"task", "unit"}),
        ("unit", Unit, {"name", "weekly"}),
        ("order", Order, set()),
    ],
)
def test_it_knows_every_key(name, noun, but):
    keys = {field.name for field in dataclasses.fields(noun)} - but
    assert keys == set(SCHEMA["$defs"][name]["properties"])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"statess": {}}, "statess"),
        ({"tasks": {"T": {"consumes": {"A": 1}, "produces": {"B": 1}}}}, "units"),
        ({"states": {"A": {"capacity": "much"}}}, "much"),
    ],
)
def test_it_refuses_what_the_reader_refuses(change, told):
    task = {"consumes": {"A": 1}, "produces": {"B": 1}, "units": {"U": {"max_batch": 1}}}
    task["units"]["U"]["fixed_time"] = 1
    plant = {"name": "p", "states": {"A": {}, "B": {}}, "tasks": {"T": task}}
    assert CHECK.is_valid({"plant": plant})
    assert not CHECK.is_valid({"plant": plant | change})


def test_the_command_prints_it(capsys, tmp_path):
    assert main(["schema"]) == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA
    assert main(["schema", "-o", str(tmp_path / "s.json")]) == 0
    assert json.loads((tmp_path / "s.json").read_text("utf-8")) == SCHEMA
