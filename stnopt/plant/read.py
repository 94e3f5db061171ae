"""Read plant files (YAML or JSON) into networks, and the examples that ship with the library.

A file's problems are collected, not met one by one: what can be read is read, what cannot is
reported and left out (or replaced by something harmless), and the nouns' own checks run on the
rest, so that one `InvalidNetworkError` holds all there is to mend.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import yaml

from stnopt.errors import InvalidInputError, InvalidNetworkError
from stnopt.plant.network import (
    Network,
    State,
    Suitability,
    Task,
    did_you_mean,
    name_problems,
    reference_problems,
)

_EXAMPLES = Path(__file__).parent / "examples"
_SUFFIXES = (".yaml", ".yml", ".json")
_BESIDE_PLANT = ("problem", "reference")
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
    if isinstance(source, Mapping):
        return _read_document(source, [], "")
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
    problems: list[str] = []
    try:
        document = _parse(path, problems)
    except InvalidNetworkError as error:
        raise InvalidNetworkError(error.problems, source=str(path)) from error
    return _read_document(document, problems, str(path))


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
        raise InvalidNetworkError("the file is empty; it needs the keys name, states and tasks")
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
        _known_entries(document, "beside plant", ("plant", *_BESIDE_PLANT), (), problems)
        plant = document["plant"]
    network = _read_plant(plant, problems)
    if network is None or problems:
        raise InvalidNetworkError(problems, source=source)
    return network


def _read_plant(plant: object, problems: list[str]) -> Network | None:
    """Read a plant; None, with its problems added, if it has any."""
    sections = ("states", "tasks")
    later = {
        "units": "availability windows, changeovers and utilities are not supported yet; leave "
        "the key out",
        "problem": "belongs beside the plant; move the plant under the key plant",
        "reference": "belongs beside the plant; move the plant under the key plant",
    }
    entries = _known_entries(
        plant, "the plant", ("name", *_LABELS, *sections), ("name", *sections), problems, later
    )
    texts = {
        key: _text(entries[key], key, problems) for key in ("name", *_LABELS) if key in entries
    }
    given = {key: _named_entries(entries[key], key, problems) for key in sections if key in entries}
    states = {
        name: _read_state(name, entry, problems) for name, entry in given.get("states", {}).items()
    }
    recipes: dict[str, tuple[Iterable[str], Iterable[str]]] = {}
    tasks: dict[str, Task] = {}
    for name, entry in given.get("tasks", {}).items():
        task = _read_task(name, entry, problems, recipes)
        if task is not None:
            tasks[name] = task
    if not problems:
        try:
            return Network(**texts, states=states, tasks=tasks)
        except InvalidNetworkError as error:
            problems.extend(error.problems)
            return None
    if all(isinstance(entries.get(section), Mapping) for section in sections):
        problems.extend(reference_problems(states, recipes))
    return None


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
) -> Task | None:
    """Read a task, and note in `recipes` which states it names, whatever else is wrong with it."""
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
                unit: _read_suitability(name, unit, terms, problems)
                for unit, terms in given.items()
            }
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
    entries = _known_entries(entry, owner, (*_UNIT_NUMBERS, "release_time"), required, problems)
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
    # Whatever stands in for a number that could not be read must not break a rule of its own.
    values.setdefault("max_batch", abs(values.get("min_batch", 0.0)) + 1.0)
    values.setdefault("fixed_time", max((1.0, *readable.values())))
    return _made(
        Suitability, problems, task=task, unit=unit, **values, release_time=readable
    ) or _stand_in(task, unit, releases)


def _read_numbers(value: object, where: str, what: str, problems: list[str]) -> dict[str, float]:
    """Read a mapping of names to numbers; NaN where there is none to be read."""
    numbers = {}
    for name, entry in _named_entries(value, where, problems).items():
        number = _number(entry, f"{where} {what} of {name!r}", problems)
        numbers[name] = math.nan if number is None else number
    return numbers


def _made(noun: Callable[..., Any], problems: list[str], **values: Any) -> Any:
    """Make a noun; None, with its problems added, if it refuses."""
    try:
        return noun(**values)
    except InvalidNetworkError as error:
        problems.extend(error.problems)
        return None


def _stand_in(task: str, unit: str, released: Iterable[str]) -> Suitability:
    """Harmless numbers under the names that were given, so that the names can still be checked."""
    release_time = dict.fromkeys(released, 1.0)
    return Suitability(
        task=task, unit=unit, max_batch=1.0, fixed_time=1.0, release_time=release_time
    )


def _equal_shares(states: Iterable[str]) -> dict[str, float]:
    names = tuple(states)
    return dict.fromkeys(names, 1.0 / len(names)) if names else {}


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
