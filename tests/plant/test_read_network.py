"""Bad plant files, one row each; then what a reader must do with good ones."""

from __future__ import annotations

import copy
import json
import math

import numpy as np
import pytest
import yaml
from bad_files import one_problem_of, problems_of

from stnopt.errors import InvalidInputError, InvalidNetworkError, StnoptError
from stnopt.plant import load_example, read_network

GOOD = """\
name: small
citation: Made for this test
states:
  Feed: {initial: unlimited, cost: 5}
  Mid: {capacity: 100, initial: 20}
  Good: {price: 10}
  Waste: {price: -1}
tasks:
  React:
    consumes: {Feed: 1}
    produces: {Mid: 1}
    units:
      R1: {max_batch: 50, fixed_time: 1.5, time_per_amount: 0.02}
  Split:
    consumes: {Mid: 1}
    produces: {Good: 0.9, Waste: 0.1}
    units:
      R1: {min_batch: 5, max_batch: 40, fixed_time: 1, release_time: {Good: 0.5}}
      Still: {max_batch: 60, fixed_time: 2, fixed_cost: 3, cost_per_amount: 0.5}
"""


# In GOOD, the second text takes the place of the first; exactly one problem must come of it.
BAD_FILES = [
    # keys
    (
        "  Mid: {capacity: 100",
        "  Mid: {capac: 100",
        "state 'Mid': unknown key 'capac' (did you mean 'capacity'?)",
    ),
    (
        "Feed: {",
        "Feed: {zzz: 1, ",
        "state 'Feed': unknown key 'zzz'; known keys are initial, capacity,",
    ),
    ("states:", "tags: 1\nstates:", "the plant: unknown key 'tags'"),
    (
        "  Split:\n",
        "  Split:\n    label: x\n",
        "task 'Split': unknown key 'label'",
    ),
    (
        "{max_batch: 60",
        "{batch: 1, max_batch: 60",
        "task 'Split' on unit 'Still': unknown key 'batch'",
    ),
    (
        "states:",
        "units: {R1: {available: [0, 8]}}\nstates:",
        "unit 'R1': unknown key 'available' (did you mean 'unavailable'?)",
    ),
    ("states:", "problem: {horizon: 8}\nstates:", "the plant: problem: belongs beside the plant"),
    ("name: small\n", "", "the plant: the key 'name' is missing"),
    ("    consumes: {Mid: 1}\n", "", "task 'Split': the key 'consumes' is missing"),
    (
        "max_batch: 60, fixed_time: 2",
        "max_batch: 60",
        "on unit 'Still': the key 'fixed_time' is missing",
    ),
    (
        "{max_batch: 50, fixed_time: 1.5",
        "{fixed_time: 1.5",
        "on unit 'R1': the key 'max_batch' is missing",
    ),
    # names
    (
        "consumes: {Feed: 1}",
        "consumes: {Fed: 1, Feed: 0.0000001}",
        "'React' consumes the unknown state 'Fed' (did you mean 'Feed'?)",
    ),
    (
        "Good: 0.9, Waste",
        "Good: 0.9, Wast: 1.0e-7, Waste",
        "'Split' produces the unknown state 'Wast' (did you mean 'Waste'?)",
    ),
    ("tasks:", "  Spare: {}\ntasks:", "state 'Spare' is neither consumed nor produced"),
    ("tasks:", "  Spare:\ntasks:", "state 'Spare' is neither consumed nor produced"),
    ("name: small", "name: ' '", "the plant needs a name"),
    (
        "Waste: 0.1}",
        "Waste: 0.1, ' ': 0.1}",
        "produces: an entry needs a name that is text, printable",
    ),
    # fractions
    ("Good: 0.9", "Good: 0.7", "task 'Split': produces fractions sum to 0.8, expected 1"),
    (
        "consumes: {Mid: 1}",
        "consumes: {Mid: 1.1}",
        "task 'Split': consumes fractions sum to 1.1, expected 1",
    ),
    ("Waste: 0.1", "Waste: 0.10001", "task 'Split': produces fractions sum to 1.00001, expected 1"),
    ("Waste: 0.1", "Waste: -0.1", "produces fraction of 'Waste' must be more than 0, got -0.1"),
    (
        "Good: 0.9, Waste: 0.1",
        "Good: 1, Waste: 0",
        "produces fraction of 'Waste' must be more than 0, got 0",
    ),
    ("consumes: {Mid: 1}", "consumes: {}", "task 'Split': consumes is empty"),
    (
        "consumes: {Mid: 1}",
        "consumes: Mid",
        "task 'Split': consumes must be a mapping of states to fractions, got the text 'Mid'",
    ),
    # batches and times
    (
        "fixed_time: 1.5",
        "fixed_time: -1.5",
        "task 'React' on unit 'R1': fixed_time must be at least 0, got -1.5",
    ),
    (
        "time_per_amount: 0.02",
        "time_per_amount: -0.02",
        "time_per_amount must be at least 0, got -0.02",
    ),
    (
        "fixed_time: 1.5",
        "fixed_time: 0",
        "task 'React' on unit 'R1': a batch of 0 would take no time",
    ),
    (
        "min_batch: 5",
        "min_batch: 41",
        "task 'Split' on unit 'R1': min_batch 41 exceeds max_batch 40",
    ),
    (
        "min_batch: 5",
        "min_batch: -5",
        "task 'Split' on unit 'R1': min_batch must be at least 0, got -5",
    ),
    (
        "max_batch: 50",
        "max_batch: 0",
        "task 'React' on unit 'R1': max_batch must be more than 0, got 0",
    ),
    ("fixed_cost: 3", "fixed_cost: -3", "fixed_cost must be at least 0, got -3"),
    (
        "cost_per_amount: 0.5",
        "cost_per_amount: -0.5",
        "cost_per_amount must be at least 0, got -0.5",
    ),
    (
        "release_time: {Good: 0.5}",
        "release_time: {Good: 1.2}",
        (
            "task 'Split' on unit 'R1': release_time of 'Good' is 1.2, after the shortest batch "
            "has ended (1)"
        ),
    ),
    (
        "release_time: {Good: 0.5}",
        "release_time: {Good: 0}",
        "task 'Split' on unit 'R1': release_time of 'Good' must be more than 0, got 0",
    ),
    (
        "release_time: {Good: 0.5}",
        "release_time: {Mid: 0.5}",
        "task 'Split' on unit 'R1': release_time names 'Mid', which the task does not produce",
    ),
    (
        "release_time: {Good: 0.5}",
        "release_time: {Good: x}",
        "task 'Split' on unit 'R1': release_time time of 'Good' must be a number, got the text 'x'",
    ),
    (
        "release_time: {Good: 0.5}",
        "release_time: 0.5",
        "task 'Split' on unit 'R1': release_time: expected a mapping from names, got 0.5",
    ),
    (
        "      R1: {max_batch: 50, fixed_time: 1.5, time_per_amount: 0.02}",
        "      {}",
        "task 'React': units is empty",
    ),
    # storage and money
    (
        "capacity: 100, initial: 20",
        "capacity: -1",
        "state 'Mid': capacity must be at least 0, got -1",
    ),
    ("initial: 20", "initial: -1", "state 'Mid': initial must be at least 0, got -1"),
    ("initial: 20", "initial: 101", "state 'Mid': initial 101 exceeds capacity 100"),
    ("cost: 5", "cost: -5", "state 'Feed': cost must be at least 0, got -5"),
    (
        "initial: unlimited",
        "initial: unlimited, capacity: 9",
        "state 'Feed': an unlimited supply has no capacity, got 9",
    ),
    (
        "capacity: 100, initial: 20",
        "initial: 20, zero_wait: true",
        "state 'Mid': zero_wait forbids an initial stock, got 20",
    ),
    (
        "capacity: 100, initial: 20",
        "capacity: 100, zero_wait: true",
        "state 'Mid': zero_wait forbids storage, got capacity 100",
    ),
    (
        "initial: 20",
        "zero_wait: 1, initial: 20",
        "state 'Mid': zero_wait must be true or false, got 1",
    ),
    (
        "price: -1",
        "price: -1, zero_wait: true",
        "state 'Waste' is zero_wait, but no task consumes it",
    ),
    # numbers that are none, or not finite
    ("price: 10", "price: .nan", "state 'Good': price must be finite, got nan"),
    (
        "max_batch: 50",
        "max_batch: .inf",
        "task 'React' on unit 'R1': max_batch must be finite, got inf",
    ),
    (
        "capacity: 100",
        "capacity: .inf",
        "state 'Mid': capacity must be finite, got inf; leave capacity out",
    ),
    (
        "initial: unlimited",
        "initial: .inf",
        "state 'Feed': initial must be finite, got inf; write `initial: unlimited`",
    ),
    (
        "price: 10",
        "price: 1" + "0" * 400,
        "state 'Good': price must be a number, got the text '1000",
    ),
    ("price: 10", "price: yes", "state 'Good': price must be a number, got true"),
    ("price: 10", "price:", "state 'Good': price must be a number, got nothing"),
    ("price: 10", "price: [10]", "state 'Good': price must be a number, got a list"),
    (
        "price: 10",
        "price: {h: 1}",
        "state 'Good': price must be a number, got a mapping with the keys ['h']",
    ),
    (
        "capacity: 100",
        "capacity: unlimited",
        "state 'Mid': capacity must be a number, got the text 'unlimited'",
    ),
    # YAML surprises
    (
        "fixed_time: 1.5",
        "fixed_time: 1e-3",
        "fixed_time must be a number, got the text '1e-3'; write 1.0e-3 without quotes",
    ),
    (
        "price: 10",
        "price: 1.5E3",
        "state 'Good': price must be a number, got the text '1.5E3'; write 1.5e+3 without",
    ),
    (
        "price: 10",
        'price: "10"',
        "state 'Good': price must be a number, got the text '10'; write 10.0 without quotes",
    ),
    (
        "fixed_time: 1.5",
        "fixed_time: 1:30",
        "'R1': fixed_time must be a number, got the text '1:30'",
    ),
    (
        "max_batch: 50",
        "max_batch: 050",
        "max_batch must be a number, got the text '050'; write 50.0",
    ),
    ("price: 10", "price: 2020-13-45", "price must be a number, got the text '2020-13-45'"),
    (
        "name: small",
        "name: NO",
        "name must be text, got false (what YAML makes of an unquoted no, off or false)",
    ),
    ("name: small", "name: 2021", "name must be text, got 2021; put it in quotes"),
    ("citation: Made for this test", "citation: [a]", "citation must be text, got a list"),
    # repeated keys
    ("price: 10", "price: 10, price: 11", "line 6: key 'price' is given again (first on line 6)"),
    (
        "name: small",
        "name: small\nname: large",
        "line 2: key 'name' is given again (first on line 1)",
    ),
    ("  Waste", "  Feed: {}\n  Waste", "line 7: key 'Feed' is given again (first on line 4)"),
    ("name: small", "? [a, b]\n: 1\nname: small", "line 1: a key must be text, not a sequence"),
    # shapes
    (
        "    units:\n      R1: {max_batch: 50, fixed_time: 1.5, time_per_amount: 0.02}\n  Split:",
        "    units: [R1]\n  Split:",
        "task 'React': units: expected a mapping from names, got a list",
    ),
    (
        "  Good: {price: 10}",
        "  Good: 10",
        "state 'Good': expected a mapping with the keys initial, capacity,",
    ),
    (
        "      Still: {max_batch: 60, fixed_time: 2, fixed_cost: 3, cost_per_amount: 0.5}",
        "      Still: 60",
        (
            "task 'Split' on unit 'Still': expected a mapping with the keys max_batch, "
            "fixed_time, got 60"
        ),
    ),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD_FILES)
def test_bad_file_names_its_one_problem(old, new, message, tmp_path):
    assert message in one_problem_of(read_network, GOOD, old, new, tmp_path)


# In RULED, as above; RULED is GOOD with maintenance, changeovers and a utility.
RULED = (
    GOOD.replace("fixed_cost: 3,", "draws: {steam: 2}, fixed_cost: 3,").replace(
        "min_batch: 5,", "min_batch: 5, draws_per_amount: {steam: 0.1},"
    )
    + """\
units:
  R1: {unavailable: [[8, 9], [3, 5]], changeovers: {React: {Split: 0.5}, Split: {React: 0.25}}}
  Still:
utilities:
  steam: {capacity: 5}
"""
)
BAD_RULES = [
    ("[3, 5]", "[5, 3]", "unit 'R1': unavailable period [5.0, 3.0]: its end must be after its"),
    ("[3, 5]", "[3, 3]", "unit 'R1': unavailable period [3.0, 3.0]: its end must be after its"),
    ("[3, 5]", "[-5, -3]", "period [-5.0, -3.0]: it has ended before time 0"),
    ("[3, 5]", "[3, 8.5]", "period [8, 9] starts before the one until 8.5 has ended"),
    ("[3, 5]", "[3]", "unit 'R1': unavailable needs pairs of times such as [[3, 5]], got [3]"),
    ("[3, 5]", "3", "unit 'R1': unavailable needs pairs of times such as [[3, 5]], got 3"),
    ("[3, 5]", "[3, x]", "'R1': unavailable: the end of [3, 'x'] must be a number, got the text"),
    ("[3, 5]", "[3, .inf]", "unavailable: the end of [3, inf] must be finite, got inf"),
    ("[[8, 9], [3, 5]]", "8", "unit 'R1': unavailable must be a list of periods such as [[3, 5]]"),
    (
        "React: {Split: 0.5}",
        "React: {Splt: 0.5}",
        "unit 'R1': changeovers names the task 'Splt', which does not run on it (did you mean",
    ),
    (
        "React: {Split: 0.5}",
        "React: {Split: -0.5}",
        "unit 'R1': changeover from 'React' to 'Split' must be at least 0, got -0.5",
    ),
    (
        "React: {Split: 0.5}",
        "React: {Split: x}",
        "unit 'R1': changeovers from 'React' time of 'Split' must be a number, got the text 'x'",
    ),
    ("React: {Split: 0.5}", "React: 1", "changeovers from 'React': expected a mapping from names"),
    ("  Still:\n", "  Stil:\n", "unit 'Stil' has rules, but no task runs on it (did you mean 'St"),
    ("  Still:\nut", "  Still: 3\nut", "unit 'Still': expected a mapping with the keys unavaila"),
    (
        "  Still:\nut",
        "  Still: {changeovers: {React: {Split: 1}}}\nut",
        "unit 'Still': changeovers names the task 'React', which does not run on it",
    ),
    (
        "draws: {steam: 2}",
        "draws: {stem: 2}",
        "task 'Split' on unit 'Still' draws on the unknown utility 'stem' (did you mean 'steam'?)",
    ),
    (
        "draws: {steam: 2}",
        "draws: {steam: -2}",
        "task 'Split' on unit 'Still': draw of 'steam' must be at least 0, got -2",
    ),
    (
        "draws_per_amount: {steam: 0.1}",
        "draws_per_amount: {steam: -2}",
        "task 'Split' on unit 'R1': draw per amount of 'steam' must be at least 0, got -2",
    ),
    (
        "draws: {steam: 2}",
        "draws: {steam: all}",
        "task 'Split' on unit 'Still': draws draw of 'steam' must be a number, got the text 'all'",
    ),
    ("capacity: 5", "capacity: -5", "utility 'steam': capacity must be at least 0, got -5"),
    ("capacity: 5", "capacity: .inf", "utility 'steam': capacity must be finite, got inf; leave"),
    ("{capacity: 5}", "{}", "utility 'steam': the key 'capacity' is missing"),
    ("{capacity: 5}", "5", "utility 'steam': expected a mapping with the keys capacity, got 5"),
    ("{capacity: 5}", "{capacity: 5, cost: 1}", "utility 'steam': unknown key 'cost'"),
]


@pytest.mark.parametrize(("old", "new", "message"), BAD_RULES)
def test_bad_rule_names_its_one_problem(old, new, message, tmp_path):
    assert message in one_problem_of(read_network, RULED, old, new, tmp_path)


def test_names_in_rules_are_looked_up_whatever_else_is_wrong(tmp_path):
    text = RULED.replace("max_batch: 60", "max_batch: -60").replace("{steam: 2}", "{stem: 2}")
    text = text.replace("  Still:\nut", "  Stil: {changeovers: {A: {B: x}}}\nut")
    problems = problems_of(
        read_network, text.replace("React: {Split: 0.5}", "Raect: {Split: x}"), tmp_path
    )
    expected = [
        "task 'Split' on unit 'Still': max_batch must be more than 0",
        "unit 'R1': changeovers from 'Raect' time of 'Split' must be a number, got the text 'x'",
        "unit 'Stil': changeovers from 'A' time of 'B' must be a number, got the text 'x'",
        "task 'Split' on unit 'Still' draws on the unknown utility 'stem' (did you mean 'steam'?)",
        "unit 'R1': changeovers names the task 'Raect', which does not run on it (did you mean",
        "unit 'Stil' has rules, but no task runs on it (did you mean 'Still'?)",
    ]
    for sentence, start in zip(problems, expected, strict=True):
        assert sentence.startswith(start)


def test_names_are_not_blamed_for_a_section_that_could_not_be_read(tmp_path):
    """Without React's units nobody knows where it runs; without utilities none is unknown."""
    terms = "{max_batch: 50, fixed_time: 1.5, time_per_amount: 0.02}"
    (problem,) = problems_of(
        read_network, RULED.replace(f"      R1: {terms}", "      - R1"), tmp_path
    )
    assert problem.startswith("task 'React': units: expected a mapping from names, got a list")
    (problem,) = problems_of(
        read_network, RULED.replace("  steam: {capacity: 5}", "  - steam"), tmp_path
    )
    assert problem.startswith("utilities: expected a mapping from names, got a list")


def test_what_the_rules_of_a_good_file_say(tmp_path):
    path = tmp_path / "plant.yaml"
    path.write_text(RULED, encoding="utf-8")
    network = read_network(path)
    assert list(network.unit_rules) == ["R1"]  # Still has nothing to say
    rules = network.unit_rules["R1"]
    assert rules.unavailable == ((3, 5), (8, 9))
    assert rules.changeovers == {("React", "Split"): 0.5, ("Split", "React"): 0.25}
    assert network.utilities["steam"].capacity == 5
    assert network.units == ("R1", "Still")
    still, r1 = network.tasks["Split"].units["Still"], network.tasks["Split"].units["R1"]
    assert (still.draw("steam", 10), r1.draw("steam", 10)) == (2, 1)
    assert still.utilities == r1.utilities == ("steam",)
    assert network.tasks["React"].units["R1"].utilities == ()


@pytest.mark.parametrize("section", ["units", "utilities"])
def test_rules_stand_in_the_plant_not_beside_it(section):
    plant = yaml.safe_load(RULED)
    with pytest.raises(InvalidNetworkError) as caught:
        read_network({"plant": plant, section: plant[section]})
    assert caught.value.problems == (
        f"beside plant: {section}: belongs to the plant; move it under the key plant",
    )


# Whole documents that hold no plant at all.
BAD_DOCUMENTS = [
    (".yaml", "", "the file is empty"),
    (".yaml", "# only a comment\n", "expected a mapping with the keys name, states and tasks"),
    (".yaml", "- a\n- b\n", "expected a mapping with the keys name, states and tasks, got a list"),
    (".json", "[1]", "expected a mapping with the keys name, states and tasks, got a list"),
    (".yaml", "plant:\n", "the plant: expected a mapping"),
    (".yaml", "name: x\nstates: {A: {\ntasks: {}\n", "line 4, column 1: this is not YAML"),
    (".yaml", "name: x\n\tstates: {}\n", "line 2, column 1: this is not YAML"),
    (".yaml", "name: a\n---\nname: b\n", "this is not YAML: expected a single document"),
    (".yaml", "name: x\nstates: \x07\n", "line 2: the character '\\x07' may not stand in YAML"),
    (
        ".yaml",
        "name: !!python/name:os.system x",
        "line 1, column 7: this is not YAML: a plant file",
    ),
    (".yaml", "name: !!int x", "a plant file has no use for the tag"),
    (".yaml", "name: " + "[" * 5000, "nested too deeply"),
    (".json", '{"name": "x",\n "states": }', "line 2, column 12: this is not JSON"),
    (".json", '{"name": ' + "1" * 5000 + "}", "cannot be read as JSON"),
]


@pytest.mark.parametrize(("suffix", "text", "message"), BAD_DOCUMENTS)
def test_bad_document(suffix, text, message, tmp_path):
    problems = problems_of(read_network, text, tmp_path, suffix)
    assert len(problems) == 1, problems
    assert message in problems[0]


def test_file_that_is_not_text(tmp_path):
    path = tmp_path / "plant.yaml"
    path.write_bytes(b"name: \xff\xfe")
    with pytest.raises(InvalidNetworkError, match="not text in UTF-8: byte 6 is 0xff"):
        read_network(path)


def test_every_problem_of_a_file_at_once(tmp_path):
    text = """\
name: NO
colour: red
states:
  Feed: {initial: unlimited, capacity: 5}
  Mid: {capacity: 1e-3, initial: 5}
  NO: {price: 10}
  Idle: {cost: -1, prise: 2}
  Feed: {}
tasks:
  React:
    consumes: {Fed: 0.5}
    produces: {Mid: x, NO: 1}
    units:
      R1: {max_batch: -1, fixed_time: -2, release_time: {Idel: 1}}
      R2: {fixed_time: 1, min_batch: -1}
  Rest:
    produces: {Mid: 1, NO: 0.5}
"""
    problems = problems_of(read_network, text, tmp_path)
    expected = [
        'line 6: YAML reads the key NO as true or false, not as text; put it in quotes: "NO"',
        "line 8: key 'Feed' is given again (first on line 4)",
        'line 12: YAML reads the key NO as true or false, not as text; put it in quotes: "NO"',
        'line 17: YAML reads the key NO as true or false, not as text; put it in quotes: "NO"',
        "the plant: unknown key 'colour'",
        "name must be text, got false",
        "state 'Mid': capacity must be a number, got the text '1e-3'; write 1.0e-3",
        "state 'Idle': unknown key 'prise' (did you mean 'price'?)",
        "state 'Idle': cost must be at least 0, got -1",
        "task 'React': produces fraction of 'Mid' must be a number, got the text 'x'",
        "task 'React' on unit 'R1': max_batch must be more than 0, got -1",
        "task 'React' on unit 'R1': fixed_time must be at least 0, got -2",
        "task 'React' on unit 'R2': the key 'max_batch' is missing",
        "task 'React' on unit 'R2': min_batch must be at least 0, got -1",
        "task 'React': consumes fractions sum to 0.5, expected 1",
        "task 'React' on unit 'R1': release_time names 'Idel', which the task does not produce",
        "task 'Rest': the key 'consumes' is missing",
        "task 'Rest': the key 'units' is missing",
        "task 'Rest': produces fractions sum to 1.5, expected 1",
        "task 'React' consumes the unknown state 'Fed' (did you mean 'Feed'?)",
        "state 'Feed' is neither consumed nor produced",
        "state 'Idle' is neither consumed nor produced",
    ]
    for sentence, start in zip(problems, expected, strict=True):
        assert sentence.startswith(start)


@pytest.mark.parametrize(
    "sections", [{"states": {}, "tasks": {}}, {"states": {"A": {}}, "tasks": {}}]
)
def test_empty_network(sections):
    with pytest.raises(InvalidNetworkError, match="the plant has no tasks"):
        read_network({"name": "nothing", **sections})


def test_repeated_key_in_json(tmp_path):
    text = json.dumps(yaml.safe_load(GOOD)).replace('"price": 10', '"price": 10, "price": 11')
    assert problems_of(read_network, text, tmp_path, ".json") == (
        "key 'price' is given more than once in {price}",
    )


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "1e999"])
def test_json_numbers_that_are_not_finite(constant, tmp_path):
    text = json.dumps(yaml.safe_load(GOOD)).replace('"price": 10', f'"price": {constant}')
    (problem,) = problems_of(read_network, text, tmp_path, ".json")
    assert problem.startswith("state 'Good': price must be finite")


def test_names_that_a_plain_yaml_reader_lost():
    plant = yaml.safe_load(GOOD.replace("Good", "NO"))
    with pytest.raises(InvalidNetworkError) as caught:
        read_network(plant)
    assert caught.value.problems[0].startswith("states: the name false (what YAML makes of")
    assert len(caught.value.problems) == 3  # states, produces, release_time; no "unknown state"


# Paths that lead to no plant file.
BAD_PATHS = [
    ("ex2", "an example: load_example('ex2')"),
    ("somewhere/ex2.yaml", "an example: load_example('ex2')"),
    ("kumawat_2012", "did you mean 'kumawat_2021'?"),
    ("plant.yaml", "there is no such file; examples for load_example are brewhouse2024, "),
    ("plant.toml", "there is no such file"),
    ("name: x\nstates: {}", "got text of several lines"),
    (5, "expected the path of a plant file or a mapping, got 5"),
    (None, "expected the path of a plant file or a mapping, got None"),
    ([GOOD], "expected the path of a plant file or a mapping, got ["),
]


@pytest.mark.parametrize(("source", "message"), BAD_PATHS)
def test_bad_path(source, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidNetworkError) as caught:
        read_network(source)
    assert message in str(caught.value)


def test_a_missing_file_s_neighbour_is_named(tmp_path):
    (tmp_path / "plant.yaml").write_text(GOOD)
    (tmp_path / "plant.txt").write_text(GOOD)  # can be no plant file
    with pytest.raises(InvalidNetworkError, match=r"no such file \(did you mean 'plant.yaml'\?\)"):
        read_network(tmp_path / "plant.yml")


def test_file_of_another_kind(tmp_path):
    (tmp_path / "plant.toml").write_text(GOOD)
    with pytest.raises(
        InvalidNetworkError, match=r"ends in \.yaml, \.yml, \.json, \.xlsx; got '\.toml'"
    ):
        read_network(tmp_path / "plant.toml")
    with pytest.raises(InvalidNetworkError, match="this is a folder"):
        read_network(tmp_path)


def test_unknown_example():
    with pytest.raises(InvalidInputError, match=r"no example 'ex3' \(did you mean 'ex\d'"):
        load_example("ex3")
    with pytest.raises(StnoptError, match="name: expected printable text, got None"):
        load_example(None)


def test_what_a_good_file_says(tmp_path):
    path = tmp_path / "plant.yml"
    path.write_text("\ufeff" + GOOD, encoding="utf-8")  # as some editors start a file
    network = read_network(str(path))
    assert network == read_network(path)
    assert list(network.states) == ["Feed", "Mid", "Good", "Waste"]
    assert network.states["Feed"].unlimited
    assert network.states["Mid"].initial == 20
    assert network.states["Good"].capacity == math.inf
    assert network.states["Waste"].price == -1
    assert network.units == ("R1", "Still")
    assert network.tasks["Split"].units["R1"].release_time == {"Good": 0.5}
    assert network.tasks["React"].units["R1"].duration(50) == 2.5
    assert network.citation == "Made for this test"


def test_same_plant_by_every_way_in(tmp_path):
    plant = yaml.safe_load(GOOD)
    network = read_network(plant)
    (tmp_path / "plant.json").write_text(json.dumps(plant))
    beside = {"plant": plant, "problem": {"horizon": 8}, "reference": {"value": 1}}
    assert read_network(tmp_path / "plant.json") == network
    assert read_network(beside) == network
    with pytest.raises(InvalidNetworkError, match="beside plant: unknown key 'probelm'"):
        read_network({"plant": plant, "probelm": {}})


def test_reading_leaves_the_mapping_alone():
    plant = yaml.safe_load(GOOD)
    before = copy.deepcopy(plant)
    network = read_network(plant)
    assert plant == before
    plant["states"]["Mid"]["capacity"] = 1
    plant["tasks"]["Split"]["units"]["R1"]["release_time"]["Good"] = 0.1
    assert network == read_network(before)


def test_anchors_and_merged_keys_are_no_repeats(tmp_path):
    path = tmp_path / "plant.yaml"
    merged = GOOD.replace("R1: {max_batch: 50,", "R1: &terms {max_batch: 50,").replace(
        "Still: {max_batch: 60,", "Still: {<<: *terms, max_batch: 60,"
    )
    path.write_text(merged)
    still = read_network(path).tasks["Split"].units["Still"]
    assert (still.max_batch, still.fixed_time, still.time_per_amount) == (60, 2, 0.02)


def test_numpy_numbers_are_numbers():
    plant = yaml.safe_load(GOOD)
    plant["states"]["Good"]["price"] = np.float64(10)
    plant["tasks"]["React"]["units"]["R1"]["max_batch"] = np.int64(50)
    network = read_network(plant)
    assert network == read_network(yaml.safe_load(GOOD))
    assert type(network.states["Good"].price) is float
