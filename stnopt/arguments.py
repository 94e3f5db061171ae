"""What fits an argument: kinds of values, and errors that name the argument and what fits it.

`check_arguments` holds a function's arguments against kinds, all at once; `checked_*` return the
value of one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from reprlib import repr as shortened
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from stnopt.errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T")

MAX_DEGREE = 1000
MAX_SAMPLES = 10**8


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: how an error calls it, and whether a value is of it."""

    expected: str
    fits: Callable[[Any], bool]


def check_arguments(**given: tuple[object, Kind | type]) -> None:
    """Refuse what does not fit, all arguments of a call at once.

    Parameters
    ----------
    **given
        By the argument's name, its value and the kind or class that it must be of.

    Raises
    ------
    InvalidInputError
        Naming each argument, what was expected and what came.
    """
    problems = [
        _problem(name, value, a(kind) if isinstance(kind, type) else kind)
        for name, (value, kind) in given.items()
    ]
    found = [problem for problem in problems if problem]
    if found:
        raise InvalidInputError(found[0] if len(found) == 1 else found)


def a(*nouns: type) -> Kind:
    """Return the kind of the instances of a class, or of one of several."""
    words = " or ".join(article(noun) for noun in nouns)
    return Kind(words, lambda value: isinstance(value, nouns))


def article(noun: type) -> str:
    """Return a class's name with its article; text is what is not called by its type's name."""
    if noun is str:
        return "text"
    return f"{'an' if noun.__name__[0] in 'AEIOU' else 'a'} {noun.__name__}"


def optional(kind: Kind | type) -> Kind:
    """Return the kind that also takes None."""
    inner = a(kind) if isinstance(kind, type) else kind
    return Kind(f"{inner.expected} or None", lambda value: value is None or inner.fits(value))


def one_of(words: Iterable[str]) -> Kind:
    """Return the kind of a few words."""
    known = tuple(words)
    return Kind(
        f"one of {', '.join(map(repr, known))}",
        lambda value: isinstance(value, str) and value in known,
    )


def many(*nouns: type) -> Kind:
    """Return the kind of tuples and lists of instances of some classes; may be empty."""
    return Kind(
        f"a list of {' or '.join(noun.__name__ for noun in nouns)}",
        lambda value: (
            isinstance(value, tuple | list) and all(isinstance(each, nouns) for each in value)
        ),
    )


def as_tuple(value: Iterable[T]) -> tuple[T, ...]:
    """Make a tuple of an iterable, which can be read once only; leave all else for `many`."""
    return tuple(value) if is_listed(value) else value  # type: ignore[return-value]


def is_listed(value: object) -> bool:
    """Whether a value is one thing after another: no text, no mapping and no table."""
    listed = isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)
    return listed and not hasattr(value, "columns")


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


def _whole(value: object, least: int) -> bool:
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    return whole and least <= value <= np.iinfo(np.int64).max  # type: ignore[operator]


def _is_path(value: object) -> bool:
    text = str(value)
    return isinstance(value, str | Path) and bool(text) and "\0" not in text


def _are_names(value: object) -> bool:
    listed = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return listed and len(value) > 0 and all(isinstance(each, str) and each for each in value)  # type: ignore[arg-type, attr-defined]


def _are_amounts(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) and math.isfinite(_number(amount)) for name, amount in value.items()
    )


def _are_bounds(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(
            isinstance(name, str)
            and isinstance(pair, tuple | list)
            and len(pair) == 2
            and -math.inf < _number(pair[0]) < _number(pair[1]) < math.inf
            for name, pair in value.items()
        )
    )


def _are_named(value: object) -> bool:
    return isinstance(value, Mapping) and all(isinstance(name, str) for name in value)


NUMBER = Kind("a finite number", lambda value: math.isfinite(_number(value)))
POSITIVE = Kind("a positive finite number", lambda value: 0 < _number(value) < math.inf)
NON_NEGATIVE = Kind("a finite number of at least 0", lambda value: 0 <= _number(value) < math.inf)
SHARE = Kind("a number in (0, 1)", lambda value: 0 < _number(value) < 1)
GAP = Kind("a number in [0, 1)", lambda value: 0 <= _number(value) < 1)
#: Infinitely many are no limit.
SECONDS = Kind("positive seconds or None", lambda value: value is None or _number(value) > 0)
SECONDS_FROM_0 = Kind(
    "seconds from 0 on or None", lambda value: value is None or _number(value) >= 0
)
#: So many of a thing that an array of them can be made.
FEW = Kind(
    f"an integer from 1 to {MAX_SAMPLES}",
    lambda value: _whole(value, 1) and value <= MAX_SAMPLES,
)
COUNT = Kind("an integer of at least 1", lambda value: _whole(value, 1))
WHOLE = Kind("an integer of at least 0", lambda value: _whole(value, 0))
TRUTH = Kind("True or False", lambda value: isinstance(value, bool | np.bool_))
TEXT = Kind(
    "printable text", lambda value: isinstance(value, str) and bool(value) and value.isprintable()
)
PATH = Kind("a path", _is_path)
#: What a noun takes for its items to be checked one by one.
LIST = Kind("a list", lambda value: is_listed(value))
FUNCTION = Kind("a function", lambda value: callable(value) and not isinstance(value, type))
DATE = Kind("a datetime", lambda value: isinstance(value, datetime))
AMOUNTS = Kind("a mapping of names to finite numbers", _are_amounts)
BOUNDS = Kind("a mapping of names to (lower, upper)", _are_bounds)
BY_NAME = Kind("a mapping with names as keys", _are_named)
PROGRESS = Kind(
    "True, False or a function",
    lambda value: (
        isinstance(value, bool | np.bool_) or (callable(value) and not isinstance(value, type))
    ),
)
#: As joblib has it: -1 is one per core.
WORKERS = Kind("an integer but not 0", lambda value: _whole(value, -1024) and value != 0)
INSTANT = Kind(
    "a number, a datetime or a clock time",
    lambda value: isinstance(value, str | datetime) or math.isfinite(_number(value)),
)
NAMES = Kind("a list of names", _are_names)


def checked_number(name: str, value: object) -> float:
    """Return a finite number; True and False are none (InvalidInputError)."""
    return float(_checked(name, value, NUMBER))


def checked_positive(name: str, value: object) -> float:
    """Return a positive finite number (InvalidInputError)."""
    return float(_checked(name, value, POSITIVE))


def checked_non_negative(name: str, value: object) -> float:
    """Return a finite number of at least 0 (InvalidInputError)."""
    return float(_checked(name, value, NON_NEGATIVE))


def checked_share(name: str, value: object) -> float:
    """Return a number between 0 and 1, both excluded (InvalidInputError)."""
    return float(_checked(name, value, SHARE))


def checked_time(name: str, value: object) -> float | None:
    """Return positive seconds, or None for no limit (InvalidInputError)."""
    found = _checked(name, value, SECONDS)
    return None if found is None or found == math.inf else float(found)


def checked_count(name: str, value: object) -> int:
    """Return an integer of at least 1 (InvalidInputError)."""
    return int(_checked(name, value, COUNT))


def checked_truth(name: str, value: object) -> bool:
    """Return True or False (InvalidInputError)."""
    return bool(_checked(name, value, TRUTH))


def checked_degree(value: object) -> int:
    """Return the degree of a polynomial kernel, an integer from 1 to 1000 (InvalidInputError)."""
    kind = Kind(
        f"an integer of at least 1 and at most {MAX_DEGREE}",
        lambda value: _whole(value, 1) and value <= MAX_DEGREE,
    )
    return int(_checked("degree", value, kind))


def float_array(value: object) -> NDArray[np.float64]:
    """Copy numbers into an array; text, booleans and complex numbers are none.

    Raises
    ------
    TypeError, ValueError, OverflowError, RecursionError
        These are no numbers; the caller knows what to call them.
    """
    array = np.array(value, dtype=np.float64)
    if np.asarray(value).dtype.kind in "bUSc":
        raise TypeError("text, booleans and complex numbers are none")
    return array


def _problem(name: str, value: object, kind: Kind) -> str | None:
    if kind.fits(value):
        return None
    shown = repr(value) if isinstance(value, float | np.number) else shortened(value)
    return f"{name}: expected {kind.expected}, got {shown}"


def _checked(name: str, value: object, kind: Kind) -> Any:
    if problem := _problem(name, value, kind):
        raise InvalidInputError(problem)
    return value
