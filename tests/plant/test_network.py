"""The plant's nouns: what they refuse, what they answer, and that they survive every journey."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import pickle
import subprocess
import sys
from itertools import pairwise

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stnopt.errors import InvalidNetworkError
from stnopt.plant import (
    Network,
    State,
    Suitability,
    Task,
    Unit,
    Utility,
    load_example,
    read_network,
)
from stnopt.plant.checks import name_problems

ON_R1 = Suitability(task="React", unit="R1", max_batch=50, fixed_time=1.5, time_per_amount=0.02)
REACT = Task(name="React", consumes={"A": 1}, produces={"B": 0.5, "C": 0.5}, units={"R1": ON_R1})
STATES = {name: State(name=name) for name in "ABC"}

# Keyword arguments that a noun refuses, in place of good ones, and what it says.
BAD_NOUNS = [
    (State, {"name": ""}, "a state needs a name"),
    (
        State,
        {"name": False},
        "a state needs a name that is text, printable and without blanks around it, got False",
    ),
    (State, {"name": "A "}, "without blanks around it, got 'A '"),
    (State, {"name": "A\nB"}, "printable and without blanks around it, got 'A\\nB'"),
    (State, {"initial": "unlimited"}, "state 'A': initial must be a number, got 'unlimited'"),
    (State, {"initial": True}, "state 'A': initial must be a number, got True"),
    (State, {"price": math.inf}, "state 'A': price must be finite, got inf"),
    (State, {"capacity": math.nan}, "state 'A': capacity must be finite, got nan"),
    (State, {"cost": 10**400}, "state 'A': cost must be finite, got 1000"),
    (State, {"initial": math.inf, "zero_wait": True}, "zero_wait forbids an initial stock"),
    (State, {"zero_wait": "yes"}, "state 'A': zero_wait must be true or false, got 'yes'"),
    (Suitability, {"unit": None}, "a unit needs a name"),
    (Suitability, {"max_batch": math.inf}, "'T' on unit 'U': max_batch must be finite"),
    (Suitability, {"fixed_time": 0, "time_per_amount": 1}, "a batch of 0 would take no time"),
    (Suitability, {"fixed_time": 0, "min_batch": 1}, "a batch of 1 would take no time"),
    (Suitability, {"release_time": 1}, "release_time must be a mapping, got 1"),
    (Suitability, {"release_time": {"A": math.nan}}, "release_time of 'A' must be finite"),
    (Suitability, {"release_time": {"A": 2.5}}, "'A' is 2.5, after the shortest batch has ended"),
    (Suitability, {"draws": 1}, "draws must be a mapping, got 1"),
    (Suitability, {"draws": {"steam": math.nan}}, "draw of 'steam' must be finite, got nan"),
    (Suitability, {"draws_per_amount": {"steam": -1}}, "draw per amount of 'steam' must be at lea"),
    (Unit, {"name": ""}, "a unit needs a name"),
    (Unit, {"unavailable": 3}, "unit 'R1': unavailable must be a list of periods, got 3"),
    (Unit, {"unavailable": [3]}, "unavailable needs pairs of times, got 3"),
    (Unit, {"unavailable": ["35"]}, "unavailable needs pairs of times, got '35'"),
    (Unit, {"unavailable": [(3, 4, 5)]}, "unavailable needs pairs of times, got [3, 4, 5]"),
    (Unit, {"unavailable": [(3, "5")]}, "[3, '5']: its end must be a number, got '5'"),
    (Unit, {"unavailable": [(3, 6), (5, 7)]}, "[5, 7] starts before the one until 6 has ended"),
    (Unit, {"changeovers": 3}, "unit 'R1': changeovers must be a mapping, got 3"),
    (Unit, {"changeovers": {"React": 3}}, "changeovers needs pairs of tasks (first, next), got 'R"),
    (Unit, {"changeovers": {("React", 1): 3}}, "a task in changeovers needs a name that is text"),
    (Unit, {"changeovers": {("A", "B"): math.inf}}, "changeover from 'A' to 'B' must be finite"),
    (Utility, {"capacity": "much"}, "utility 'steam': capacity must be a number, got 'much'"),
    (Utility, {"name": None}, "a utility needs a name"),
    (Network, {"unit_rules": {"R1": 3}}, "unit_rules: 'R1' must be a Unit, got 3"),
    (Network, {"unit_rules": {"R": Unit(name="R1")}}, "'R' holds the one named 'R1'"),
    (Network, {"unit_rules": {"R": Unit(name="R")}}, "'R' has rules, but no task runs on it (did"),
    (Network, {"utilities": {"steam": 3}}, "utilities: 'steam' must be a Utility, got 3"),
    (
        Network,
        {"unit_rules": {"R1": Unit(name="R1", changeovers={("React", "Raect"): 1})}},
        "unit 'R1': changeovers names the task 'Raect', which does not run on it (did you mean",
    ),
    (Task, {"name": " "}, "a task needs a name"),
    (Task, {"consumes": {}}, "task 'React': consumes is empty"),
    (Task, {"consumes": {1: 1.0}}, "an entry of consumes needs a name that is text"),
    (Task, {"produces": {"B": 0.5, "C": 0.4}}, "produces fractions sum to 0.9, expected 1"),
    (Task, {"units": {}}, "task 'React': units is empty"),
    (Task, {"units": {"R1": 5}}, "task 'React' on unit 'R1': expected a Suitability"),
    (Task, {"units": {"R2": ON_R1}}, "on unit 'R2': its Suitability is for task 'React'"),
    (Network, {"name": None}, "the plant needs a name"),
    (Network, {"citation": 5}, "citation must be text, got 5"),
    (Network, {"states": {}}, "the plant has no states"),
    (Network, {"tasks": {}}, "the plant has no tasks"),
    (Network, {"tasks": {"Other": REACT}}, "tasks: 'Other' holds the one named 'React'"),
    (Network, {"states": {**STATES, "A": 1}}, "states: 'A' must be a State, got 1"),
    (Network, {"states": {**STATES, "D": State(name="D")}}, "'D' is neither consumed nor produced"),
    (
        Network,
        {"states": {**STATES, "B": State(name="B", zero_wait=True)}},
        "state 'B' is zero_wait, but no task consumes it",
    ),
    (
        Network,
        {"states": {"A": STATES["A"], "B": STATES["B"], "CC": State(name="CC")}},
        "task 'React' produces the unknown state 'C' (did you mean 'CC'?)",
    ),
]

GOOD = {
    State: {"name": "A"},
    Suitability: {"task": "T", "unit": "U", "max_batch": 10, "fixed_time": 2},
    Unit: {"name": "R1", "unavailable": [(3, 5)], "changeovers": {("React", "React"): 1}},
    Utility: {"name": "steam", "capacity": 3},
    Task: {f.name: getattr(REACT, f.name) for f in dataclasses.fields(REACT)},
    Network: {"name": "small", "states": STATES, "tasks": {"React": REACT}},
}


@pytest.mark.parametrize(("noun", "change", "message"), BAD_NOUNS)
def test_bad_noun_is_refused_by_name(noun, change, message):
    assert noun(**GOOD[noun])
    with pytest.raises(InvalidNetworkError) as caught:
        noun(**{**GOOD[noun], **change})
    assert any(message in problem for problem in caught.value.problems), caught.value.problems


def test_a_noun_reports_all_its_problems():
    with pytest.raises(InvalidNetworkError) as caught:
        State(name="A", initial=-1, capacity=-2, cost=-3)
    assert [problem.split()[2] for problem in caught.value.problems] == [
        "initial",
        "capacity",
        "cost",
    ]


def test_fractions_may_be_rounded_to_six_decimals_but_no_further():
    thirds = dict.fromkeys("ABC", 0.333333)
    task = Task(name="React", consumes=thirds, produces={"A": 1}, units={"R1": ON_R1})
    assert task.consumes == thirds
    with pytest.raises(InvalidNetworkError, match=r"fractions sum to 0\.99999, expected 1"):
        Task(
            name="React",
            consumes=dict.fromkeys("ABC", 0.33333),
            produces={"A": 1},
            units={"R1": ON_R1},
        )


def test_what_a_network_answers():
    network = load_example("ex2")
    assert network.units == ("HR", "R1", "R2", "SR")
    assert [(s.task, s.unit) for s in network.suitabilities[:3]] == [
        ("Heating", "HR"),
        ("Reaction1", "R1"),
        ("Reaction1", "R2"),
    ]
    assert network.products == ("S8", "S9")
    assert network.producers("S5") == ("Reaction2", "Separation")
    assert network.consumers("S3") == ("Reaction1", "Reaction3")
    assert network.consumers("S9") == ()
    # 0.6 of 50 and of 80, a tenth of 200
    assert network.most_made("S5") == pytest.approx({"R1": 30, "R2": 48, "SR": 20})
    assert network.most_made("S1") == {}
    assert network.states["S1"].unlimited
    assert not network.states["S4"].unlimited
    assert ON_R1.duration(0) == 1.5
    assert ON_R1.duration(50) == 2.5


def test_nothing_can_be_changed():
    network = load_example("ex2")
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.name = "other"
    with pytest.raises(dataclasses.FrozenInstanceError):
        network.states["S1"].price = 5
    for mapping in (network.states, network.tasks["Heating"].consumes, ON_R1.release_time):
        with pytest.raises(TypeError):
            mapping["X"] = 1


def test_a_noun_keeps_its_own_copy():
    releases = {"B": 1.0}
    terms = Suitability(task="T", unit="U", max_batch=1, fixed_time=2, release_time=releases)
    releases["B"] = 99
    assert terms.release_time == {"B": 1.0}


@pytest.mark.parametrize(
    "journey", [copy.copy, copy.deepcopy, lambda n: pickle.loads(pickle.dumps(n))]
)
def test_copies_are_equal_in_value_hash_and_order(journey):
    network = load_example("kondili1993")
    arrived = journey(network)
    assert arrived == network
    assert hash(arrived) == hash(network)
    assert arrived.fingerprint == network.fingerprint
    assert list(arrived.states) == list(network.states)


def test_fingerprint_is_the_same_in_another_process():
    code = "from stnopt.plant import load_example; print(load_example('ex2').fingerprint)"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout
    assert printed.strip() == load_example("ex2").fingerprint


def reordered(plant):
    """Return the same plant with every mapping written backwards."""
    if not isinstance(plant, dict):
        return plant
    return {key: reordered(plant[key]) for key in reversed(plant)}


def test_fingerprint_knows_what_changes_a_schedule_and_nothing_else():
    plant = load_example("kondili1993").to_dict()
    fingerprint = read_network(plant).fingerprint
    for same in (
        {**plant, "name": "another", "citation": "", "time_unit": "min"},
        reordered(plant),
        {**plant, "states": {**plant["states"], "HotA": {"price": -1, "cost": 0, "initial": -0.0}}},
    ):
        assert read_network(same).fingerprint == fingerprint
    for path, value in (
        (("states", "HotA", "price"), -2),
        (("states", "FeedA", "initial"), 200.0000001),
        (("states", "FeedA", "capacity"), 500),
        (("tasks", "Heating", "units", "Heater", "fixed_time"), 1.5),
        (("tasks", "Separation", "units", "Still", "release_time"), {"Product_2": 1}),
    ):
        other = copy.deepcopy(plant)
        entry = other
        for key in path[:-1]:
            entry = entry[key]
        entry[path[-1]] = value
        assert read_network(other).fingerprint != fingerprint, path


def test_equality_does_not_depend_on_order():
    plant = load_example("ex2").to_dict()
    backwards = read_network(reordered(plant))
    assert backwards == load_example("ex2")
    assert hash(backwards) == hash(load_example("ex2"))
    assert list(backwards.states) == list(reversed(plant["states"]))


def test_fingerprint_knows_rules_and_utilities():
    plant = load_example("kondili1993").to_dict()
    fingerprint = read_network(plant).fingerprint
    nothing = {"units": {"Still": {}, "Heater": {"changeovers": {"Heating": {"Heating": 0}}}}}
    assert read_network(plant | nothing).fingerprint == fingerprint
    assert read_network(plant | nothing).to_dict() == plant
    rules = {"units": {"Still": {"unavailable": [[1, 2], [4, 5]]}}}
    steam = {"utilities": {"steam": {"capacity": 3}}}
    drawing = copy.deepcopy(plant | steam)
    drawing["tasks"]["Separation"]["units"]["Still"]["draws"] = {"steam": 1}
    seen = {fingerprint}
    for other in (plant | rules, plant | steam, drawing, drawing | rules):
        seen.add(read_network(other).fingerprint)
    assert len(seen) == 5
    backwards = {"units": {"Still": {"unavailable": [[4, 5], [1, 2]]}}}
    assert read_network(plant | backwards) == read_network(plant | rules)


def test_fingerprints_are_those_of_old():
    """What was labelled or stored under a fingerprint must stay what it was."""
    assert load_example("ex2").fingerprint == (
        "c905d2eeb0ad38ce0d82283bdd8289fe40de30e59863c09d6f1a5e86e5f6f388"
    )


NAMES = st.text(min_size=1, max_size=8).filter(lambda name: not name_problems("", name))
AMOUNTS = st.floats(0, 1e6)
SIZES = st.floats(1e-3, 1e6)
UTILITIES = ("steam", "crew")
DRAWS = st.dictionaries(st.sampled_from(UTILITIES), AMOUNTS)


@st.composite
def plants(draw):
    """Draw a chain of tasks with arbitrary names and numbers, side states and shared units."""
    names = draw(st.lists(NAMES, min_size=2, max_size=6, unique=True))
    units = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    states = {}
    for name in names:
        unlimited = draw(st.booleans())
        initial = math.inf if unlimited else draw(AMOUNTS)
        states[name] = State(
            name=name,
            initial=initial,
            capacity=math.inf if draw(st.booleans()) or unlimited else initial + draw(AMOUNTS),
            price=draw(st.floats(-1e6, 1e6)),
            cost=draw(AMOUNTS),
        )
    tasks = {}
    for taken, made in pairwise(names):
        share = draw(st.floats(0.01, 0.99))
        by_product = draw(st.sampled_from(names))
        produces = {made: 1.0} if by_product == made else {made: share, by_product: 1 - share}
        terms = {}
        for unit in draw(st.lists(st.sampled_from(units), min_size=1, unique=True)):
            smallest, fixed_time = draw(AMOUNTS), draw(SIZES)
            terms[unit] = Suitability(
                task=taken,
                unit=unit,
                min_batch=smallest,
                max_batch=smallest + draw(SIZES),
                fixed_time=fixed_time,
                time_per_amount=draw(AMOUNTS),
                fixed_cost=draw(AMOUNTS),
                cost_per_amount=draw(AMOUNTS),
                release_time={made: fixed_time * draw(st.floats(0.1, 1))},
                draws=draw(DRAWS),
                draws_per_amount=draw(DRAWS),
            )
        tasks[taken] = Task(name=taken, consumes={taken: 1}, produces=produces, units=terms)
    rules = {}
    for unit in {unit for task in tasks.values() for unit in task.units}:
        suited = [name for name, task in tasks.items() if unit in task.units]
        times = draw(st.lists(SIZES, max_size=4, unique=True).map(sorted))
        pairs = st.tuples(st.sampled_from(suited), st.sampled_from(suited))
        rules[unit] = Unit(
            name=unit,
            unavailable=list(zip(times[::2], times[1::2], strict=False)),
            changeovers=draw(st.dictionaries(pairs, AMOUNTS, max_size=3)),
        )
    return Network(
        name=draw(NAMES),
        states=states,
        tasks=tasks,
        description=draw(st.text()),
        unit_rules=rules,
        utilities={name: Utility(name=name, capacity=draw(AMOUNTS)) for name in UTILITIES},
    )


@given(plants())
@settings(max_examples=30, deadline=None)
def test_any_network_survives_being_written_and_read(tmp_path_factory, network):
    folder = tmp_path_factory.mktemp("plant")
    plant = network.to_dict()
    (folder / "plant.json").write_text(json.dumps(plant), encoding="utf-8")
    (folder / "plant.yaml").write_text(yaml.safe_dump(plant), encoding="utf-8")
    for source in (plant, folder / "plant.json", folder / "plant.yaml"):
        arrived = read_network(source)
        assert arrived == network
        assert arrived.fingerprint == network.fingerprint
    assert pickle.loads(pickle.dumps(network)) == network
