"""Single values of a plant file: entries, texts and numbers, said in the words of the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from numbers import Real
from reprlib import repr as shortened
from typing import Any, TypeVar

from stnopt.errors import InvalidInputError, InvalidNetworkError
from stnopt.plant.checks import did_you_mean, name_problems

Key = TypeVar("Key")


def known_entries(
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
            + described(value)
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


def named_entries(value: object, where: str, problems: list[str]) -> dict[str, Any]:
    """Entries of a mapping whose keys are the names of states, tasks or units."""
    if not isinstance(value, Mapping):
        problems.append(f"{where}: expected a mapping from names, got {described(value)}")
        return {}
    named = {}
    for key, entry in value.items():
        name = str(key)
        if not isinstance(key, str):
            problems.append(
                f"{where}: the name {described(key)} is not text; put it in quotes in the file"
            )
        elif unusable := name_problems(f"{where}: an entry", key):
            problems.extend(unusable)
            continue
        named[name] = entry
    return named


def read_text(value: object, where: str, problems: list[str]) -> str:
    """Read a text; where it stands in its place, with the problem added, if it is none."""
    if not isinstance(value, str):
        problems.append(f"{where} must be text, got {described(value)}; put it in quotes")
        return where
    if where == "name":
        problems.extend(name_problems("the plant", value))
    return value


def read_number(
    value: object, where: str, problems: list[str], *, instead: str = ""
) -> float | None:
    """Read a finite number; None, with the problem added, if it is none."""
    if isinstance(value, bool) or not isinstance(value, Real):
        problems.append(f"{where} must be a number, got {described(value)}{_as_number(value)}")
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


def described(value: object) -> str:
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


def read_numbers(value: object, where: str, what: str, problems: list[str]) -> dict[str, float]:
    """Read a mapping of names to numbers; NaN where there is none to be read."""
    numbers = {}
    for name, entry in named_entries(value, where, problems).items():
        number = read_number(entry, f"{where} {what} of {name!r}", problems)
        numbers[name] = math.nan if number is None else number
    return numbers


def read_pairs(value: object, where: str, problems: list[str]) -> list[tuple[float, float]]:
    """Read a list of pairs of numbers, such as [[6, 100], [12, 100]], without the unreadable."""
    if not isinstance(value, list | tuple):
        problems.append(
            f"{where} must be a list of pairs such as [[0, 100], [8, 60]], got {described(value)}"
        )
        return []
    pairs = []
    for pair in value:
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            problems.append(f"{where} needs pairs such as [0, 100], got {described(pair)}")
            continue
        first, second = (
            read_number(number, f"{where}: the {which} of {list(pair)}", problems)
            for number, which in zip(pair, ("time", "amount"), strict=True)
        )
        if first is not None and second is not None:
            pairs.append((first, second))
    return pairs


def readable_numbers(numbers: Mapping[Key, float]) -> dict[Key, float]:
    """Put something harmless in place of what could not be read, so that its name stays known."""
    return {key: 1.0 if math.isnan(number) else number for key, number in numbers.items()}


def made(noun: Callable[..., Any], problems: list[str], **values: Any) -> Any:
    """Make a noun; None, with its problems added, if it refuses."""
    try:
        return noun(**values)
    except (InvalidNetworkError, InvalidInputError) as error:
        problems.extend(error.problems)
        return None
