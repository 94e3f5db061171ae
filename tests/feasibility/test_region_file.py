"""Damaged, foreign, deep and oversized region files: one clear error, or equal answers."""

from __future__ import annotations

import json
import os
import random

import numpy as np
import pytest

from stnopt import files
from stnopt.errors import InvalidInputError
from stnopt.feasibility import region_file
from stnopt.feasibility.region import KernelRegion, LinearRegion, load_region

RNG = np.random.default_rng(5)
KERNEL = KernelRegion(
    inputs=("A", "Bé"), kernel="laplacian", support_vectors=RNG.normal(size=(6, 2)),
    dual_coefs=RNG.normal(size=6), offset=0.25, gamma=0.5, center=[50, 40], scale=[30, 20],
    lower=[0, -np.inf], upper=[100, 90], origin={"plant": "ex2", "horizon": 8.0},
)  # fmt: skip
LINE = LinearRegion(
    inputs=("A", "B"), weights=[0.1, -1 / 3], offset=-2.5, lower=[0, 0], upper=[9, 9]
)
PROBE = RNG.uniform(0, 100, (20, 2))


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Data with one fault of those that disks, editors and copies make."""
    at = chance.randrange(len(data))
    end = min(len(data), at + chance.randint(1, 40))
    lines = data.split(b"\n")
    kind = chance.randrange(8)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        return data[:at] + data[end:]
    if kind == 3:
        return data[:at] + data[at:end] + data[at:]
    if kind == 4:
        return data[:at] + chance.randbytes(end - at) + data[end:]
    if kind == 5:
        return data[:at] + b"0" + data[at:]
    if kind == 6:
        first, second = sorted(chance.sample(range(len(lines)), 2))
        lines[first], lines[second] = lines[second], lines[first]
        return b"\n".join(lines)
    del lines[chance.randrange(len(lines))]
    return b"\n".join(lines)


@pytest.mark.parametrize("region", [KERNEL, LINE], ids=["kernel", "linear"])
def test_a_thousand_mutations_are_refused_or_equal(region, tmp_path):
    path = tmp_path / "region.json"
    region.to_json(path)
    data = path.read_bytes()
    chance, expected = random.Random(11), region.decision(PROBE)
    refused = equal = 0
    for _ in range(1000):
        path.write_bytes(mutated(data, chance))
        try:
            loaded = load_region(path)
        except InvalidInputError as error:
            refused += "region.json" in str(error)
        else:
            equal += 1
            assert loaded.inputs == region.inputs
            np.testing.assert_array_equal(loaded.decision(PROBE), expected)
    assert refused + equal == 1000  # each error names the file
    assert refused > 800


def test_a_changed_number_is_told_by_the_checksum():
    text = KERNEL.to_json().replace("0.25", "0.35")
    with pytest.raises(InvalidInputError, match=r"checksum differs.*remove the line 'checksum'"):
        load_region(text)


def test_layout_and_order_do_not_matter():
    content = json.loads(KERNEL.to_json())
    assert load_region(json.dumps(dict(reversed(content.items())))) == KERNEL


@pytest.mark.parametrize("region", [KERNEL, LINE], ids=["kernel", "linear"])
def test_a_region_of_before_there_were_checksums_is_read(region):
    content = json.loads(region.to_json())
    assert content.pop("checksum").startswith("sha256:")
    assert load_region(json.dumps(content)) == region


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a region in JSON"),
        (b"\xff\xfe\x00", "not a region in JSON"),
        ("{}".encode("utf-16"), "not a region in JSON"),
        (b"PK\x03\x04 not a region", "not a region in JSON"),
        (b"[" * 100_000 + b"]" * 100_000, "not a region in JSON"),
        (b'{"a":' * 50_000 + b"1" + b"}" * 50_000, "not a region in JSON"),
        (b'{"format": "stnopt.samples", "version": 1}', "expected 'format'"),
        (b"null", "expected 'format'.*NoneType"),
        (b'{"format": "stnopt.region", "version": 1, "kind": ["linear"]}', "'kind' must be"),
        (b'{"format": "stnopt.region", "version": 1.0, "kind": "linear"}', "reads version 1"),
    ],
)
def test_what_is_no_region_is_refused_by_name(data, message, tmp_path):
    path = tmp_path / "odd.json"
    path.write_bytes(data)
    with pytest.raises(InvalidInputError, match=message) as caught:
        load_region(path)
    assert "odd.json" in str(caught.value)
    assert len(str(caught.value)) < 1000


def deep(levels: int) -> list:
    nested: list = [1.0]
    for _ in range(levels):
        nested = [nested]
    return nested


@pytest.mark.parametrize("levels", [40, 70, 400])
@pytest.mark.parametrize("key", ["weights", "lower", "inputs", "offset", "origin"])
def test_nested_values_are_refused(levels, key):
    content = json.loads(LINE.to_json())
    content.pop("checksum")
    content[key] = deep(levels)
    with pytest.raises(InvalidInputError, match=key):
        load_region(json.dumps(content))


@pytest.mark.parametrize("key", ["offset", "gamma", "degree", "dual_coefs"])
def test_numbers_beyond_all_bounds_are_refused(key):
    content = json.loads(KERNEL.to_json())
    content.pop("checksum")
    content[key] = [10**400] * 6 if key == "dual_coefs" else 10**400
    with pytest.raises(InvalidInputError, match=key):
        load_region(json.dumps(content))


def test_a_file_too_large_is_not_read_whole(tmp_path, monkeypatch):
    path = tmp_path / "large.json"
    with path.open("wb") as file:  # sparse: takes no room on disk
        os.truncate(file.fileno(), region_file.MAX_SIZE + 1)
    with pytest.raises(InvalidInputError, match=r"large\.json.*too many for a region"):
        load_region(path)
    monkeypatch.setattr(region_file, "MAX_SIZE", 100)
    with pytest.raises(InvalidInputError, match="too many for a region"):
        load_region(KERNEL.to_json())


def test_no_file_no_folder_and_no_room(tmp_path):
    for missing in (tmp_path / "none.json", tmp_path, "a\0b"):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            load_region(missing)
    with pytest.raises(InvalidInputError, match="cannot be written"):
        KERNEL.to_json(tmp_path / "none" / "region.json")


def test_a_byte_order_mark_is_no_obstacle(tmp_path):
    path = tmp_path / "bom.json"
    path.write_bytes(b"\xef\xbb\xbf" + KERNEL.to_json().encode())
    assert load_region(path) == KERNEL
    assert load_region("\ufeff" + KERNEL.to_json()) == KERNEL


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "region.json"
    KERNEL.to_json(path)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(InvalidInputError, match=r"cannot be written.*No space left"):
        LINE.to_json(path)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["region.json"]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "link.json").symlink_to(tmp_path / "region.json")
    LINE.to_json(tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert load_region(tmp_path / "region.json") == LINE
