"""A thousand damaged stores and certified regions: refused by name, or equal in their answers."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
from test_region_file import mutated

import stnopt as so
from stnopt.feasibility.store import LabelStore

SETTINGS = {"horizon": 8, "n_events": 4, "max_span": 0}


def test_a_thousand_stores(tmp_path):
    path = tmp_path / "labels.jsonl"
    targets = so.sample_targets({"S9": (0, 110), "S8": (0, 110)}, 12, seed=1)
    so.label_targets(so.load_example("ex2"), targets, **SETTINGS, store=path)
    data = path.read_bytes()
    scope = json.loads(data.split(b"\n")[0])["scope"]
    whole, chance = LabelStore(path, scope), random.Random(5)
    refused = read = 0
    for _ in range(1000):
        path.write_bytes(mutated(data, chance))
        try:
            found = LabelStore(path, scope)
        except so.InvalidInputError as error:
            refused += "labels.jsonl" in str(error)
            continue
        read += 1
        # A record that is missing is asked again; none is wrong.
        assert found.labels.items() <= whole.labels.items()
        for target, (answer, _, _) in found.answers.items():
            assert answer.missed_by == whole.answers[target][0].missed_by
    assert refused + read == 1000  # each error names the file
    assert refused > 500


def test_a_store_of_before_there_were_checks_is_read(tmp_path):
    path = tmp_path / "labels.jsonl"
    targets = so.sample_targets({"S9": (0, 110), "S8": (0, 110)}, 12, seed=1)
    plant = so.load_example("ex2")
    labels = so.label_targets(plant, targets, **SETTINGS, store=path).labels
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    for line in lines:
        line.pop("check", None)
    lines[0]["format"] = "stnopt labels 2"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = so.label_targets(plant, targets, **SETTINGS, store=path)
    assert again.scope["n_solves"] == 0
    np.testing.assert_array_equal(again.labels, labels)


@pytest.fixture(scope="module")
def region():
    plant = so.load_example("storage_trap")
    return so.trace_frontier(plant, horizon=7, products=["P", "Q"], n_events=3, max_span=0)


def test_a_thousand_certified_regions(region, tmp_path):
    path = tmp_path / "region.json"
    region.to_json(path)
    data = path.read_bytes()
    probe = np.random.default_rng(0).random((500, 2)) * 1.2 * region.upper
    expected, chance = region.label(probe), random.Random(6)
    refused = read = 0
    # Its JSON is one line; the mutations of lines want several.
    data = json.dumps(json.loads(data), indent=1).encode()
    for _ in range(1000):
        path.write_bytes(mutated(data, chance))
        try:
            found = so.CertifiedRegion.load(path)
        except so.InvalidInputError as error:
            refused += "region.json" in str(error)
            continue
        read += 1
        np.testing.assert_array_equal(found.label(probe), expected)
    assert refused + read == 1000
    assert refused > 800


def test_a_certified_region_of_before_there_were_checksums_is_read(region):
    content = json.loads(region.to_json())
    del content["checksum"]
    with pytest.raises(so.InvalidInputError, match="the checksum differs"):
        so.CertifiedRegion.load(json.dumps(content))
    content["format"] = "stnopt certified region 1"
    assert so.CertifiedRegion.load(json.dumps(content)).gap == region.gap
