"""The plants that ship with the library."""

from __future__ import annotations

import pytest

from stnopt.plant import list_examples, load_example, read_network
from stnopt.scheduling.search.find_schedule import find_schedule

# Fingerprints of the published data as typed in by another hand than the examples.
PUBLISHED = {
    "chu2013": "8e0ff2d2198ffed8c1258e40fa05ee59c2b5ad2692e13bcd1eb94081841b13d7",
    "ex1": "9a42ea9864d885cf60c670669d016ab8c64611830029bfd56db6719328cae32b",
    "ex2": "c905d2eeb0ad38ce0d82283bdd8289fe40de30e59863c09d6f1a5e86e5f6f388",
    "ex2_exact_thirds": "d5a664c68353ecbe4c1deda16379c77e210dccacf3255dd965af6f57dccb58cd",
    "kondili1993": "11047b2cf35bc4bd39a4f11df5088bd6c1b27f8bc41510d045fefd97f20ae33e",
    "kondili1993_sep2h": "1c16dcb56da33bec13f533ff7414980f35c79ee34f39ba3346676e25df61ef6b",
    "mg2003_appendix_a": "c87c2dbd3df7a692400dd41ff4ef848c4d90fb5da1cb0c6bdc943bbafa32674f",
    "motivating": "1ba9f39cede11fac5fe5cf060a2a62420095952425e9580754954a204cc126db",
    "motivating_exact_beta": "3c13ddea0dc25aeff4de2bde31fcf3ed7b35c69f19e468c926471e5c7a350c0c",
    "storage_trap": "64f07b8c432b38a9cd36fca87008559f74c8efd9a25c55815f70659cffc2d3d7",
}


@pytest.mark.parametrize("name", list_examples())
def test_example_loads_and_tells_its_source(name):
    network = load_example(name)
    assert network.name == name
    assert network.citation
    assert network.description
    assert read_network(network.to_dict()) == network


@pytest.mark.parametrize(("name", "fingerprint"), PUBLISHED.items())
def test_example_has_the_published_numbers(name, fingerprint):
    assert load_example(name).fingerprint == fingerprint


def test_every_example_is_compared_with_something():
    ours = {"kumawat_2021", "fine_chemicals", "fine_chemicals_purge", "chu2013_large"}
    ours |= {"filling_hall"}
    # Compared with their sources in test_published_plants.py.
    larger = {"westenberger_kallrath", "ovalle2024_four_days", "brewhouse2024"}
    assert {*PUBLISHED, *ours, *larger} == set(list_examples())


def test_kumawat_2021_is_example_2_in_exact_thirds_with_stated_prices():
    plant = load_example("kumawat_2021").to_dict()
    assert "prints no prices" in plant["description"]
    for state in ("S1", "S2", "S3"):
        assert plant["states"][state].pop("cost") == 5
    assert read_network(plant).fingerprint == load_example("ex2_exact_thirds").fingerprint
    assert load_example("kumawat_2021").products == ("S8", "S9")


@pytest.mark.parametrize(
    ("name", "task", "unit", "size", "duration"),
    [
        # Mean durations 1, 2, 2, 1 and 2 h, a third more for the largest batch.
        ("ex2_exact_thirds", "Heating", "HR", 100, 4 / 3),
        ("ex2_exact_thirds", "Reaction1", "R1", 50, 8 / 3),
        ("ex2_exact_thirds", "Reaction2", "R2", 80, 8 / 3),
        ("ex2_exact_thirds", "Reaction3", "R1", 50, 4 / 3),
        ("ex2_exact_thirds", "Separation", "SR", 200, 8 / 3),
        ("motivating_exact_beta", "Reaction", "Reactor", 75, 4),
    ],
)
def test_exact_durations(name, task, unit, size, duration):
    terms = load_example(name).tasks[task].units[unit]
    assert terms.duration(size) == pytest.approx(duration, abs=1e-15)


def test_printed_and_exact_data_differ_by_rounding_only():
    printed, exact = load_example("ex2"), load_example("ex2_exact_thirds")
    assert printed.fingerprint != exact.fingerprint
    for one, other in zip(printed.suitabilities, exact.suitabilities, strict=True):
        assert one.duration(one.max_batch) == pytest.approx(other.duration(one.max_batch), rel=1e-3)


def test_large_plant_makes_one_batch_of_each_step_in_seven_events():
    # 60 from the centrifuge are 39 of cake, 36.66 of powder and of Y, worth 14 each. They take 60
    # of Int3, so 40 of Int2's batch (36 and 4 of residue), 20 of A, 20 of C, 12 of acid.
    network = load_example("fine_chemicals")
    assert len(network.units) >= 10
    assert len(network.tasks) >= 15
    residue = 0.1 * 40 + 0.06 * 39
    worth = 14 * 36.66 - 0.5 * residue - 1 * 20 - 1.5 * 20 - 0.5 * 12
    found = find_schedule(network, horizon=16, n_events=7, max_span=0)
    assert found.result.objective == pytest.approx(worth)
