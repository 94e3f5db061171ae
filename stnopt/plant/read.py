"""Read plant and problem files (YAML or JSON), and the examples that ship with the library.

A file's problems are collected, not met one by one: what can be read is read, what cannot is
reported and left out (or replaced by something harmless), and the nouns' own checks run on the
rest, so that one error holds all there is to mend.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from pathlib import Path
from reprlib import repr as shortened
from typing import Any, TypeVar

import yaml

from stnopt.errors import InvalidInputError, InvalidNetworkError
from stnopt.plant.network import (
    Network,
    State,
    Suitability,
    Task,
    Unit,
    Utility,
    did_you_mean,
    name_problems,
    reference_problems,
    rule_problems,
)
from stnopt.plant.problem import Delivery, Problem

_Key = TypeVar("_Key")

_EXAMPLES = Path(__file__).parent / "examples"
_SUFFIXES = (".yaml", ".yml", ".json")
_BESIDE_PLANT = ("problem", "reference")
_PROBLEM_KEYS = ("objective", "horizon", "horizon_upper_bound", "demand", "sense", "deliveries")
_DELIVERY_KEYS = ("state", "time", "amount")
_LABELS = ("citation", "description", "amount_unit", "time_unit")
_STATE_KEYS = ("initial", "capacity", "price", "cost", "zero_wait")
_TASK_KEYS = ("consumes", "produces", "units")
_UNIT_NUMBERS = (
    "min_batch",
    "max_batch",
    "fixed_time",
    "time_per_amount",
    "fixed_cost",
    "cost_per_amount",
)


def read_network(source: Path | str | Mapping[str, Any]) -> Network:
    """Read a plant from a file, or from the mapping that such a file holds.

    Parameters
    ----------
    source : path, str or mapping
        A path to a `.yaml`, `.yml` or `.json` file, or the mapping itself, which is left as it is.
        The plant is at the top level or under `plant:`; there, `problem:` and `reference:` may
        stand beside it and are not read here.

    Returns
    -------
    Network
        The checked plant.

    Raises
    ------
    InvalidNetworkError
        With every problem of the file at once, each naming its element.
    """
    problems: list[str] = []
    document, where = _open(source, problems)
    return _read_document(document, problems, where)


def read_problem(
    source: Path | str | Mapping[str, Any], *, default: Problem | None = None
) -> Problem:
    """Read what is asked of a plant from a file, or from the mapping that such a file holds.

    Parameters
    ----------
    source : path, str or mapping
        A path to a `.yaml`, `.yml` or `.json` file, or the mapping itself. The problem is under
        `problem:`, beside `plant:` or alone, or it is the whole file. Its keys, all optional, are
        `objective`, `horizon` (or `horizon_upper_bound`, the same number by the name that fits a
        makespan), `demand` (the targets), `sense` and `deliveries`, a list of
        `{state: ..., time: ..., amount: ...}`.
    default : Problem, optional
        What to return where the source is a plant, and no problem stands beside it.

    Returns
    -------
    Problem
        The checked problem. Where the file holds the plant too, the names of states were looked
        up in it.

    Raises
    ------
    InvalidInputError
        With every problem of the file at once, each naming its element.
    """
    problems: list[str] = []
    try:
        document, where = _open(source, problems)
    except InvalidNetworkError as error:
        raise InvalidInputError(error.problems, source=error.source) from error
    if default is not None and _is_plant_alone(document):
        return default
    problem = _read_problem_document(document, problems)
    if problem is None or problems:
        raise InvalidInputError(problems, source=where)
    return problem


def list_examples() -> list[str]:
    """Names of the plants that ship with the library, for `load_example`."""
    return sorted(path.stem for path in _EXAMPLES.glob("*.yaml"))


def load_example(name: str) -> Network:
    """Read one of the plants that ship with the library.

    Parameters
    ----------
    name : str
        One of `list_examples()`.

    Raises
    ------
    InvalidInputError
        If there is no example of that name.
    """
    examples = list_examples()
    if name not in examples:
        hint = did_you_mean(name, examples) if isinstance(name, str) else ""
        raise InvalidInputError(f"no example {name!r}{hint}; there are {', '.join(examples)}")
    return read_network(_EXAMPLES / f"{name}.yaml")


# --- From text to a mapping ----------------------------------------------------------------------


def _open(source: object, problems: list[str]) -> tuple[object, str]:
    """Return a source's content as plain Python values, and the name of the file it came from."""
    if isinstance(source, Mapping):
        return source, ""
    if not isinstance(source, str | Path):
        raise InvalidNetworkError(
            f"expected the path of a plant file or a mapping, got {shortened(source)}"
        )
    if "\n" in str(source):
        raise InvalidNetworkError(
            "expected the path of a plant file, got text of several lines; "
            "parse the text first and pass the mapping"
        )
    path = Path(source)
    try:
        return _parse(path, problems), str(path)
    except InvalidNetworkError as error:
        raise InvalidNetworkError(error.problems, source=str(path)) from error


def _parse(path: Path, problems: list[str]) -> object:
    """Text to plain Python values; what is wrong but can be read past is added to `problems`."""
    if path.suffix.lower() not in _SUFFIXES:
        raise InvalidNetworkError(_not_a_plant_file(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InvalidNetworkError(_not_a_plant_file(path)) from error
    except OSError as error:
        raise InvalidNetworkError(f"the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidNetworkError(
            f"the file is not text in UTF-8: byte {error.start} is {error.object[error.start]:#x}"
        ) from error
    if not text.strip():
        raise InvalidNetworkError(
            "the file is empty; a plant needs the keys name, states and tasks"
        )
    parse = _parse_json if path.suffix.lower() == ".json" else _parse_yaml
    try:
        return parse(text, problems)
    except RecursionError as error:
        raise InvalidNetworkError("the file is nested too deeply to be a plant") from error


def _not_a_plant_file(path: Path) -> str:
    if path.is_dir():
        return "this is a folder; give the path of a plant file in it"
    if path.exists():
        return f"a plant file ends in {', '.join(_SUFFIXES)}; got {path.suffix or 'no suffix'!r}"
    examples = list_examples()
    if path.stem in examples:
        return f"there is no such file, but an example: load_example({path.stem!r})"
    hint = did_you_mean(path.stem, examples)
    return f"there is no such file{hint}; examples for load_example are {', '.join(examples)}"


def _parse_json(text: str, problems: list[str]) -> object:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        problems.extend(
            f"key {key!r} is given more than once in {{{', '.join(dict.fromkeys(keys))}}}"
            for key in dict.fromkeys(keys)
            if keys.count(key) > 1
        )
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InvalidNetworkError(
            f"line {error.lineno}, column {error.colno}: this is not JSON: {error.msg}"
        ) from error
    except ValueError as error:  # an integer with more digits than Python reads
        raise InvalidNetworkError(f"the file cannot be read as JSON: {error}") from error


def _parse_yaml(text: str, problems: list[str]) -> object:
    loader = None
    try:
        loader = _PlantLoader(text)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = ", ".join(filter(None, (error.context, error.problem)))
        raise InvalidNetworkError(f"{where}this is not YAML: {reason}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidNetworkError(
            f"line {line}: the character {chr(error.character)!r} may not stand in YAML"
        ) from error
    finally:
        if loader is not None:
            problems.extend(loader.problems)
            loader.dispose()


class _PlantLoader(yaml.SafeLoader):
    """YAML's safe loader, which reports what YAML would silently read as something else.

    A repeated key hides its first value, and an unquoted `NO` is no text. Numbers in YAML's more
    surprising spellings (`1:30` is 90, `010` is 8) stay text, so that whoever wanted a number
    reports them with the element they belong to.
    """

    _PLAIN_NUMBER = re.compile(
        r"[-+]?(0|[1-9][0-9]{0,99})|[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    )
    _TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
    _NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
    _DATE = "tag:yaml.org,2002:timestamp"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[str] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if getattr(event, "tag", None) not in (None, "!"):
            raise yaml.composer.ComposerError(
                None, None, f"a plant file has no use for the tag {event.tag}", event.start_mark
            )
        return super().compose_node(parent, index)

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        surprising = node.tag in self._NUMBERS and not self._PLAIN_NUMBER.fullmatch(node.value)
        if surprising or node.tag == self._DATE:
            node.tag = self._TEXT
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        entries = []
        first_line: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(f"line {line}: a key must be text, not a {key.id}")
                continue
            if key.tag not in (self._TEXT, self._MERGE):
                kind = key.tag.rpartition(":")[2]
                self.problems.append(
                    f"line {line}: YAML reads the key {key.value} as {_KINDS[kind]}, not as text; "
                    f'put it in quotes: "{key.value}"'
                )
                key = yaml.ScalarNode(self._TEXT, key.value, key.start_mark, key.end_mark)
            if key.value in first_line and key.tag != self._MERGE:
                self.problems.append(
                    f"line {line}: key {key.value!r} is given again "
                    f"(first on line {first_line[key.value]})"
                )
            first_line.setdefault(key.value, line)
            entries.append((key, value))
        node.value = entries
        return node


_KINDS = {
    "bool": "true or false",
    "null": "nothing",
    "int": "a number",
    "float": "a number",
    "value": "a default value",
}


# --- From a mapping to a network -----------------------------------------------------------------


def _read_document(document: object, problems: list[str], source: str) -> Network:
    """Find the plant in a document and read it."""
    if not isinstance(document, Mapping):
        raise InvalidNetworkError(
            [
                *problems,
                "expected a mapping with the keys name, states and tasks, got "
                + _described(document),
            ],
            source=source,
        )
    plant = document
    if "plant" in document:
        _known_entries(
            document, "beside plant", ("plant", *_BESIDE_PLANT), (), problems, _INSIDE_PLANT
        )
        plant = document["plant"]
    network = _read_plant(plant, problems)
    if network is None or problems:
        raise InvalidNetworkError(problems, source=source)
    return network


_INSIDE_PLANT = dict.fromkeys(
    ("units", "utilities"), "belongs to the plant; move it under the key plant"
)


def _read_plant(plant: object, problems: list[str]) -> Network | None:
    """Read a plant; None, with its problems added, if it has any."""
    required = ("states", "tasks")
    sections = (*required, "units", "utilities")
    elsewhere = dict.fromkeys(
        _BESIDE_PLANT, "belongs beside the plant; move the plant under the key plant"
    )
    entries = _known_entries(
        plant, "the plant", ("name", *_LABELS, *sections), ("name", *required), problems, elsewhere
    )
    texts = {
        key: _text(entries[key], key, problems) for key in ("name", *_LABELS) if key in entries
    }
    given = {key: _named_entries(entries[key], key, problems) for key in sections if key in entries}
    states = {
        name: _read_state(name, entry, problems) for name, entry in given.get("states", {}).items()
    }
    recipes: dict[str, tuple[Iterable[str], Iterable[str]]] = {}
    terms: list[Suitability] = []
    tasks: dict[str, Task] = {}
    for name, entry in given.get("tasks", {}).items():
        task = _read_task(name, entry, problems, recipes, terms)
        if task is not None:
            tasks[name] = task
    rules = {
        name: _read_unit_rules(name, entry, problems)
        for name, entry in given.get("units", {}).items()
    }
    utilities = {
        name: _read_utility(name, entry, problems)
        for name, entry in given.get("utilities", {}).items()
    }
    if not problems:
        try:
            return Network(
                **texts, states=states, tasks=tasks, unit_rules=rules, utilities=utilities
            )
        except InvalidNetworkError as error:
            problems.extend(error.problems)
            return None
    # What was named is still looked up, unless a list of names could not be read.
    if all(isinstance(entries.get(section), Mapping) for section in required):
        problems.extend(reference_problems(states, recipes))
        if all(_names_units(entry) for entry in given["tasks"].values()) and isinstance(
            entries.get("utilities", {}), Mapping
        ):
            problems.extend(rule_problems(rules, utilities, terms))
    return None


def _names_units(task: object) -> bool:
    return isinstance(task, Mapping) and isinstance(task.get("units"), Mapping)


def _read_state(name: str, entry: object, problems: list[str]) -> State:
    """Read a state; a harmless one of that name if it has problems."""
    owner = f"state {name!r}"
    # A state with nothing to say about it may be written as `S2:` alone.
    entries = _known_entries({} if entry is None else entry, owner, _STATE_KEYS, (), problems)
    values: dict[str, Any] = {}
    for key, value in entries.items():
        if key == "zero_wait":
            if isinstance(value, bool):
                values[key] = value
            else:
                problems.append(
                    f"{owner}: zero_wait must be true or false, got {_described(value)}"
                )
        elif key == "initial" and value == "unlimited":
            values[key] = math.inf
        else:
            number = _number(value, f"{owner}: {key}", problems, instead=_INSTEAD_OF_INFINITY[key])
            if number is not None:
                values[key] = number
    return _made(State, problems, name=name, **values) or State(
        name=name, zero_wait=values.get("zero_wait", False)
    )


_INSTEAD_OF_INFINITY = {
    "initial": "write `initial: unlimited`",
    "capacity": "leave capacity out",
    "price": "",
    "cost": "",
}


def _read_task(
    name: str,
    entry: object,
    problems: list[str],
    recipes: dict[str, tuple[Iterable[str], Iterable[str]]],
    terms: list[Suitability],
) -> Task | None:
    """Read a task, and note which states and units it names, whatever else is wrong with it."""
    owner = f"task {name!r}"
    entries = _known_entries(entry, owner, _TASK_KEYS, _TASK_KEYS, problems)
    consumes = _read_fractions(entries, "consumes", owner, problems)
    produces = _read_fractions(entries, "produces", owner, problems)
    recipes[name] = (consumes or (), produces or ())
    units: dict[str, Suitability] | None = None
    if "units" in entries:
        n_before = len(problems)
        given = _named_entries(entries["units"], f"{owner}: units", problems)
        if given or len(problems) == n_before:
            units = {
                unit: _read_suitability(name, unit, entry, problems)
                for unit, entry in given.items()
            }
            terms.extend(units.values())
    # What was reported as missing or unreadable must not be reported again as empty.
    return _made(
        Task,
        problems,
        name=name,
        consumes=_equal_shares(("missing",)) if consumes is None else consumes,
        produces=_equal_shares(("missing",)) if produces is None else produces,
        units={"missing": _stand_in(name, "missing", ())} if units is None else units,
    )


def _read_fractions(
    entries: Mapping[str, object], side: str, owner: str, problems: list[str]
) -> dict[str, float] | None:
    """Read `consumes` or `produces`; None if it is missing or no mapping."""
    if not isinstance(entries.get(side), Mapping):
        if side in entries:
            problems.append(
                f"{owner}: {side} must be a mapping of states to fractions, got "
                + _described(entries[side])
            )
        return None
    n_before = len(problems)
    shares = _read_numbers(entries[side], f"{owner}: {side}", "fraction", problems)
    # A sum with a term that could not be read says nothing.
    return shares if len(problems) == n_before else _equal_shares(shares)


def _read_suitability(task: str, unit: str, entry: object, problems: list[str]) -> Suitability:
    """Read what a unit needs for a task; a harmless entry of that name if it has problems."""
    owner = f"task {task!r} on unit {unit!r}"
    required = ("max_batch", "fixed_time")
    known = (*_UNIT_NUMBERS, "release_time", *_DRAWS)
    entries = _known_entries(entry, owner, known, required, problems)
    values: dict[str, Any] = {}
    for key in _UNIT_NUMBERS:
        if key in entries:
            number = _number(entries[key], f"{owner}: {key}", problems)
            if number is not None:
                values[key] = number
    releases = {}
    if "release_time" in entries:
        releases = _read_numbers(
            entries["release_time"], f"{owner}: release_time", "time", problems
        )
    readable = {state: time for state, time in releases.items() if not math.isnan(time)}
    draws = {
        key: _read_numbers(entries[key], f"{owner}: {key}", words, problems)
        for key, words in _DRAWS.items()
        if key in entries
    }
    drawn = {key: _readable(numbers) for key, numbers in draws.items()}
    # Whatever stands in for a number that could not be read must not break a rule of its own.
    values.setdefault("max_batch", abs(values.get("min_batch", 0.0)) + 1.0)
    values.setdefault("fixed_time", max((1.0, *readable.values())))
    return _made(
        Suitability, problems, task=task, unit=unit, **values, release_time=readable, **drawn
    ) or _stand_in(task, unit, releases, [utility for row in drawn.values() for utility in row])


_DRAWS = {"draws": "draw", "draws_per_amount": "draw per amount"}


def _read_unit_rules(name: str, entry: object, problems: list[str]) -> Unit:
    """Read a unit's rules; harmless ones about the same tasks if they have problems."""
    owner = f"unit {name!r}"
    known = ("unavailable", "changeovers")
    entries = _known_entries({} if entry is None else entry, owner, known, (), problems)
    periods = []
    if "unavailable" in entries:
        for start, end in _read_periods(entries["unavailable"], owner, problems):
            if start is not None and end is not None:
                periods.append((start, end))
    changeovers: dict[tuple[str, str], float] = {}
    if "changeovers" in entries:
        where = f"{owner}: changeovers"
        for first, following in _named_entries(entries["changeovers"], where, problems).items():
            times = _read_numbers(following, f"{where} from {first!r}", "time", problems)
            changeovers |= {(first, task): time for task, time in times.items()}
    return _made(
        Unit, problems, name=name, unavailable=periods, changeovers=_readable(changeovers)
    ) or Unit(name=name, changeovers=dict.fromkeys(changeovers, 1.0))


def _read_periods(
    value: object, owner: str, problems: list[str]
) -> list[tuple[float | None, float | None]]:
    """Read a list of pairs of times; None where a time could not be read."""
    if not isinstance(value, list | tuple):
        problems.append(
            f"{owner}: unavailable must be a list of periods such as [[3, 5]], got "
            + _described(value)
        )
        return []
    periods = []
    for period in value:
        if not isinstance(period, list | tuple) or len(period) != 2:
            problems.append(
                f"{owner}: unavailable needs pairs of times such as [[3, 5]], got "
                + (str(period) if isinstance(period, list | tuple) else _described(period))
            )
            continue
        start, end = (
            _number(time, f"{owner}: unavailable: the {which} of {list(period)}", problems)
            for time, which in zip(period, ("start", "end"), strict=True)
        )
        periods.append((start, end))
    return periods


def _read_utility(name: str, entry: object, problems: list[str]) -> Utility:
    """Read a utility; a harmless one of that name if it has problems."""
    owner = f"utility {name!r}"
    entries = _known_entries(entry, owner, ("capacity",), ("capacity",), problems)
    capacity = None
    if "capacity" in entries:
        instead = "leave the utility out"
        capacity = _number(entries["capacity"], f"{owner}: capacity", problems, instead=instead)
    known = 0.0 if capacity is None else capacity
    return _made(Utility, problems, name=name, capacity=known) or Utility(name=name, capacity=0.0)


def _read_numbers(value: object, where: str, what: str, problems: list[str]) -> dict[str, float]:
    """Read a mapping of names to numbers; NaN where there is none to be read."""
    numbers = {}
    for name, entry in _named_entries(value, where, problems).items():
        number = _number(entry, f"{where} {what} of {name!r}", problems)
        numbers[name] = math.nan if number is None else number
    return numbers


def _readable(numbers: Mapping[_Key, float]) -> dict[_Key, float]:
    """Put something harmless in place of what could not be read, so that its name stays known."""
    return {key: 1.0 if math.isnan(number) else number for key, number in numbers.items()}


def _made(noun: Callable[..., Any], problems: list[str], **values: Any) -> Any:
    """Make a noun; None, with its problems added, if it refuses."""
    try:
        return noun(**values)
    except (InvalidNetworkError, InvalidInputError) as error:
        problems.extend(error.problems)
        return None


def _stand_in(
    task: str, unit: str, released: Iterable[str], drawn: Iterable[str] = ()
) -> Suitability:
    """Harmless numbers under the names that were given, so that the names can still be checked."""
    return Suitability(
        task=task,
        unit=unit,
        max_batch=1.0,
        fixed_time=1.0,
        release_time=dict.fromkeys(released, 1.0),
        draws=dict.fromkeys(drawn, 1.0),
    )


def _equal_shares(states: Iterable[str]) -> dict[str, float]:
    names = tuple(states)
    return dict.fromkeys(names, 1.0 / len(names)) if names else {}


# --- From a mapping to a problem -----------------------------------------------------------------


def _is_plant_alone(document: object) -> bool:
    if not isinstance(document, Mapping) or "problem" in document:
        return False
    return "plant" in document or ("states" in document and "tasks" in document)


def _read_problem_document(document: object, problems: list[str]) -> Problem | None:
    """Find the problem in a document and read it; None, with its problems added, if it has any."""
    if not isinstance(document, Mapping):
        problems.append(f"expected a mapping with the key problem, got {_described(document)}")
        return None
    states: object = None
    if "plant" in document or "problem" in document:
        entries = _known_entries(
            document, "beside problem", ("plant", *_BESIDE_PLANT), ("problem",), problems
        )
        if "problem" not in entries:
            return None
        plant = entries.get("plant")
        states = plant.get("states") if isinstance(plant, Mapping) else None
        given = entries["problem"]
    elif "states" in document and "tasks" in document:
        problems.append(
            "this is a plant without a problem; move it under the key plant and write the key "
            "problem beside it"
        )
        return None
    else:
        given = document
    return _read_problem(given, states if isinstance(states, Mapping) else None, problems)


def _read_problem(
    given: object, states: Mapping[str, object] | None, problems: list[str]
) -> Problem | None:
    """Read a problem, and look up the states it names if it is known which there are."""
    entries = _known_entries(given, "problem", _PROBLEM_KEYS, (), problems)
    values: dict[str, Any] = {}
    for key in ("objective", "sense"):
        if key in entries:
            n_before = len(problems)
            text = _text(entries[key], f"problem: {key}", problems)
            if len(problems) == n_before:
                values[key] = text
    horizons = [key for key in ("horizon", "horizon_upper_bound") if key in entries]
    if len(horizons) == 2:
        problems.append("problem: horizon and horizon_upper_bound are the same; give one of them")
    for key in horizons:
        values["horizon"] = _number(entries[key], f"problem: {key}", problems)
    if "demand" in entries:
        demand = _read_numbers(entries["demand"], "problem: demand", "amount", problems)
        values["targets"] = {s: amount for s, amount in demand.items() if not math.isnan(amount)}
        problems.extend(_unknown_states(demand, "problem: demand", states))
    if "deliveries" in entries:
        values["deliveries"] = _read_deliveries(entries["deliveries"], states, problems)
    n_before = len(problems)
    problem = _made(Problem, problems, **values)
    problems[n_before:] = [f"problem: {sentence}" for sentence in problems[n_before:]]
    return problem


def _read_deliveries(
    value: object, states: Mapping[str, object] | None, problems: list[str]
) -> list[Delivery]:
    """Read a list of deliveries, without those that have problems."""
    if not isinstance(value, list | tuple):
        problems.append(
            "problem: deliveries must be a list of {state: ..., time: ..., amount: ...}, got "
            + _described(value)
        )
        return []
    deliveries = []
    for count, row in enumerate(value, 1):
        n_before = len(problems)
        owner = f"problem: delivery {count}"
        entries = _known_entries(row, owner, _DELIVERY_KEYS, _DELIVERY_KEYS, problems)
        values: dict[str, Any] = {
            key: _number(entries[key], f"{owner}: {key}", problems)
            for key in ("time", "amount")
            if key in entries
        }
        if "state" in entries:
            values["state"] = _text(entries["state"], f"{owner}: state", problems)
            if isinstance(entries["state"], str):
                problems.extend(_unknown_states([values["state"]], owner, states))
        if len(problems) > n_before:
            continue
        delivery = _made(Delivery, problems, **values)
        if delivery is None:
            problems[n_before:] = [f"{owner}: {sentence}" for sentence in problems[n_before:]]
        else:
            deliveries.append(delivery)
    return deliveries


def _unknown_states(
    named: Iterable[str], where: str, states: Mapping[str, object] | None
) -> list[str]:
    """Problems with the names of states, where it is known which ones the plant has."""
    if states is None:
        return []
    return [
        f"{where}: the plant has no state {state!r}{did_you_mean(state, map(str, states))}"
        for state in named
        if state not in states
    ]


# --- Single values -------------------------------------------------------------------------------


def _known_entries(
    value: object,
    owner: str,
    known: tuple[str, ...],
    required: tuple[str, ...],
    problems: list[str],
    elsewhere: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Entries of a mapping whose keys are fixed; reports unknown and missing keys."""
    if not isinstance(value, Mapping):
        problems.append(
            f"{owner}: expected a mapping with the keys {', '.join(required or known)}, got "
            + _described(value)
        )
        return {}
    for key in value:
        if elsewhere and key in elsewhere:
            problems.append(f"{owner}: {key}: {elsewhere[key]}")
        elif key not in known:
            hint = did_you_mean(str(key), known) or f"; known keys are {', '.join(known)}"
            problems.append(f"{owner}: unknown key {key!r}{hint}")
    problems.extend(f"{owner}: the key {key!r} is missing" for key in required if key not in value)
    return {key: value[key] for key in known if key in value}


def _named_entries(value: object, where: str, problems: list[str]) -> dict[str, Any]:
    """Entries of a mapping whose keys are the names of states, tasks or units."""
    if not isinstance(value, Mapping):
        problems.append(f"{where}: expected a mapping from names, got {_described(value)}")
        return {}
    named = {}
    for key, entry in value.items():
        name = str(key)
        if not isinstance(key, str):
            problems.append(
                f"{where}: the name {_described(key)} is not text; put it in quotes in the file"
            )
        elif unusable := name_problems(f"{where}: an entry", key):
            problems.extend(unusable)
            continue
        named[name] = entry
    return named


def _text(value: object, where: str, problems: list[str]) -> str:
    if not isinstance(value, str):
        problems.append(f"{where} must be text, got {_described(value)}; put it in quotes")
        return where
    if where == "name":
        problems.extend(name_problems("the plant", value))
    return value


def _number(value: object, where: str, problems: list[str], *, instead: str = "") -> float | None:
    """Read a finite number; None, with the problem added, if it is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        problems.append(f"{where} must be a number, got {_described(value)}{_as_number(value)}")
        return None
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if math.isfinite(number):
        return number
    problems.append(f"{where} must be finite, got {number}" + (f"; {instead}" if instead else ""))
    return None


def _as_number(value: object) -> str:
    """How to write a text as the number that it was meant to be, as the end of a sentence."""
    try:
        number = float(value) if isinstance(value, str) else math.nan
    except ValueError:
        return ""
    if not math.isfinite(number):
        return ""
    mantissa, exponent_mark, exponent = str(value).strip().lower().partition("e")
    if not exponent_mark:
        return f"; write {number!r} without quotes"
    # YAML 1.1 wants both the point and the exponent's sign.
    mantissa += "" if "." in mantissa else ".0"
    exponent = exponent if exponent[0] in "+-" else f"+{exponent}"
    return f"; write {mantissa}e{exponent} without quotes"


def _described(value: object) -> str:
    """Say what came, in the words of the file rather than in Python's."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        words = "yes, on or true" if value else "no, off or false"
        return f"{str(value).lower()} (what YAML makes of an unquoted {words})"
    if isinstance(value, str):
        return f"the text {shortened(value)}"
    if isinstance(value, Mapping):
        return f"a mapping with the keys {shortened(list(value))}" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return f"{shortened(value)}"
