"""What fits an argument: kinds of values, and errors that name the argument and what fits it."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import numpy as np
import pandas as pd

from reactor_yield.errors import InvalidConditionsError

MAX_COUNT = 10**9


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: how an error calls it, and whether a value is of it."""

    expected: str
    fits: Callable[[Any], bool]


def argument_problems(**given: tuple[object, Kind | type]) -> list[str]:
    """Find what does not fit, by the argument's name: its value and its kind or class."""
    problems = []
    for name, (value, wanted) in given.items():
        kind = a(wanted) if isinstance(wanted, type) else wanted
        if not kind.fits(value):
            shown = repr(value) if isinstance(value, float | np.number) else shortened(value)
            problems.append(f"{name}: expected {kind.expected}, got {shown}")
    return problems


def check_arguments(**given: tuple[object, Kind | type]) -> None:
    """Refuse what does not fit, all arguments of a call at once.

    Raises
    ------
    InvalidConditionsError
        Naming each argument, what was expected and what came.
    """
    if problems := argument_problems(**given):
        raise InvalidConditionsError(*problems)


def a(*nouns: type) -> Kind:
    """Return the kind of the instances of a class, or of one of several."""
    words = " or ".join(
        f"{'an' if noun.__name__[0] in 'AEIOU' else 'a'} {noun.__name__}" for noun in nouns
    )
    return Kind(words, lambda value: isinstance(value, nouns))


def optional(wanted: Kind | type) -> Kind:
    """Return the kind that also takes None."""
    kind = a(wanted) if isinstance(wanted, type) else wanted
    return Kind(f"{kind.expected} or None", lambda value: value is None or kind.fits(value))


def either(*kinds: Kind) -> Kind:
    """Return the kind of what is of one of several kinds."""
    return Kind(
        " or ".join(kind.expected for kind in kinds),
        lambda value: any(kind.fits(value) for kind in kinds),
    )


def one_of(words: Iterable[str]) -> Kind:
    """Return the kind of a few words."""
    known = tuple(words)
    return Kind(
        f"one of {', '.join(map(repr, known))}",
        lambda value: isinstance(value, str) and value in known,
    )


def many(noun: type) -> Kind:
    """Return the kind of tuples and lists of instances of a class, one at least."""
    return Kind(
        f"a list of {noun.__name__}, one at least",
        lambda value: (
            isinstance(value, tuple | list)
            and len(value) > 0
            and all(isinstance(each, noun) for each in value)
        ),
    )


def by_name(kind: Kind, *, empty: bool = False) -> Kind:
    """Return the kind of mappings of names to values of a kind."""
    return Kind(
        f"a mapping of names to values that are each {kind.expected}",
        lambda value: (
            isinstance(value, Mapping)
            and (empty or len(value) > 0)
            and all(isinstance(name, str) and kind.fits(each) for name, each in value.items())
        ),
    )


def _number(value: object) -> float:
    """Return a value as a float; NaN, which no comparison holds for, if it is no number."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return math.nan
    if isinstance(value, np.complexfloating):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.nan


def _whole(value: object, least: int, most: int) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and least <= value <= most  # type: ignore[operator]


def _are_names(value: object) -> bool:
    listed = isinstance(value, Collection) and not isinstance(
        value, str | bytes | Mapping | pd.DataFrame
    )
    return listed and all(isinstance(each, str) and each for each in value)  # type: ignore[attr-defined]


def _is_pair(value: object) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and -math.inf <= _number(value[0]) < _number(value[1]) <= math.inf
    )


def _are_numbers(value: object) -> bool:
    if not isinstance(value, list | tuple | np.ndarray | pd.Series):
        return False
    try:
        numbers = np.asarray(value)
    except ValueError:  # rows of different lengths
        return False
    listed = numbers.ndim == 1 and numbers.size > 0 and numbers.dtype.kind in "iuf"
    return listed and bool(np.isfinite(numbers).all())


ANYTHING = Kind("anything", lambda value: True)
NUMBER = Kind("a finite number", lambda value: math.isfinite(_number(value)))
POSITIVE = Kind("a positive finite number", lambda value: 0 < _number(value) < math.inf)
NON_NEGATIVE = Kind("a finite number from 0 on", lambda value: 0 <= _number(value) < math.inf)
SHARE = Kind("a number between 0 and 1", lambda value: 0 < _number(value) < 1)
COUNT = Kind(f"an integer from 1 to {MAX_COUNT}", lambda value: _whole(value, 1, MAX_COUNT))
WHOLE = Kind("an integer from 0 to 2**63 - 1", lambda value: _whole(value, 0, 2**63 - 1))
TRUTH = Kind("True or False", lambda value: isinstance(value, bool | np.bool_))
TEXT = Kind("text", lambda value: isinstance(value, str) and bool(value) and value.isprintable())
PATH = Kind(
    "a path",
    lambda value: isinstance(value, str | Path) and bool(str(value)) and "\0" not in str(value),
)
NAMES = Kind("a list of names", _are_names)
SOME_NAMES = Kind(
    "a list of names, one at least", lambda value: _are_names(value) and len(value) > 0
)
PAIR = Kind("two numbers, lower and upper", _is_pair)
FUNCTION = Kind("a function", lambda value: callable(value) and not isinstance(value, type))
TABLE = Kind(
    "a table with named columns",
    lambda value: isinstance(value, pd.DataFrame) and len(value.columns) > 0,
)
CONDITIONS = Kind(
    "a table of conditions, or a mapping of one row's",
    lambda value: (
        TABLE.fits(value)
        or (isinstance(value, Mapping) and bool(value) and all(isinstance(c, str) for c in value))
    ),
)
#: A fitted model is told by what it does, so that one's own may take its place.
PREDICTS = Kind(
    "a yield model",
    lambda value: not isinstance(value, type) and hasattr(value, "predict_interval"),
)
VALUES = Kind("finite numbers, (n,) with n from 1 on", _are_numbers)
SERIES = Kind("a series, (n,)", lambda value: isinstance(value, pd.Series))


def parse_limits(text: str | None, *, what: str) -> tuple[float, float] | None:
    """Smallest and largest value from `0,100`, or `None`."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        message = f"{what} takes two numbers, such as 0,100; got {text!r}"
        raise InvalidConditionsError(message) from None
    return low, high
