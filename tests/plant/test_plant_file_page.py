"""The page on the plant file: its example is read as it stands, its tables name every key."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
import yaml

from stnopt.plant import (
    Delivery,
    Order,
    PlantState,
    RunningBatch,
    State,
    Suitability,
    Unit,
    Utility,
    read_network,
    read_problem,
    read_state,
)

PAGE = (Path(__file__).parents[2] / "docs" / "plant_file.md").read_text(encoding="utf-8")
EXAMPLE, NOW = re.findall(r"^```yaml\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


def test_the_example_is_read():
    document = yaml.safe_load(EXAMPLE)
    network, problem = read_network(document), read_problem(document)
    assert network.unit_rules["Still"].unavailable == ((0, 1), (12, 16))
    assert network.unit_rules["Reactor"].changeovers["Knead", "React"] == 0.5
    assert network.tasks["Purify"].units["Still"].draw("steam", 50) == 5
    assert problem.deliveries == (Delivery("Product", 8, 60),)
    assert network.to_dict() == document["plant"]


def test_the_state_is_read_and_fits_the_example():
    state = read_state(yaml.safe_load(EXAMPLE) | yaml.safe_load(NOW))
    assert state.running[0].remaining == 0.8
    assert state.held == {"Still": {"Product": 10}}
    assert state.open_orders == (Order("4711", "Product", 60, -1),)


@pytest.mark.parametrize(
    ("noun", "but"),
    [
        (State, {"name"}),
        (Suitability, {"task", "unit"}),
        (Unit, {"name"}),
        (Utility, {"name"}),
        (Order, set()),
        (PlantState, set()),
        (RunningBatch, set()),
    ],
)
def test_the_page_names_every_key(noun, but):
    for field in dataclasses.fields(noun):
        if field.name not in but:
            assert f"`{field.name}`" in PAGE, field.name
