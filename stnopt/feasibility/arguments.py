"""Checks of arguments: each returns the value, or names the argument and says what fits it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from stnopt.errors import InvalidInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DEGREE = 1000


def checked_number(name: str, value: object) -> float:
    """Return a finite number.

    Raises
    ------
    InvalidInputError
        It is none; True and False are none.
    """
    number = _number(value)
    if number is None or not math.isfinite(number):
        raise InvalidInputError(f"{name}: expected a finite number, got {value!r}")
    return number


def checked_positive(name: str, value: object) -> float:
    """Return a positive finite number.

    Raises
    ------
    InvalidInputError
        It is none.
    """
    number = _number(value)
    if number is None or not 0 < number < math.inf:
        raise InvalidInputError(f"{name}: expected a positive finite number, got {value!r}")
    return number


def checked_share(name: str, value: object) -> float:
    """Return a number between 0 and 1, both excluded.

    Raises
    ------
    InvalidInputError
        It is none.
    """
    number = _number(value)
    if number is None or not 0 < number < 1:
        raise InvalidInputError(f"{name}: expected a number in (0, 1), got {value!r}")
    return number


def checked_time(name: str, value: object) -> float | None:
    """Return positive seconds, or None for no limit.

    Raises
    ------
    InvalidInputError
        It is neither.
    """
    if value is None:
        return None
    number = _number(value)
    if number is None or not number > 0:
        raise InvalidInputError(f"{name}: expected positive seconds or None, got {value!r}")
    return number if number < math.inf else None


def checked_count(name: str, value: object) -> int:
    """Return an integer of at least 1.

    Raises
    ------
    InvalidInputError
        It is none.
    """
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer) or value < 1:
        raise InvalidInputError(f"{name}: expected an integer of at least 1, got {value!r}")
    return int(value)


def checked_non_negative(name: str, value: object) -> float:
    """Return a finite number of at least 0.

    Raises
    ------
    InvalidInputError
        It is none.
    """
    number = _number(value)
    if number is None or not 0 <= number < math.inf:
        raise InvalidInputError(f"{name}: expected a finite number of at least 0, got {value!r}")
    return number


def checked_degree(value: object) -> int:
    """Return the degree of a polynomial kernel.

    Raises
    ------
    InvalidInputError
        It is no integer from 1 to 1000.
    """
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or not 1 <= value <= MAX_DEGREE:  # type: ignore[operator]
        raise InvalidInputError(
            f"degree: expected an integer of at least 1 and at most {MAX_DEGREE}, got {value!r}"
        )
    return int(value)  # type: ignore[call-overload]


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


def checked_truth(name: str, value: object) -> bool:
    """Return True or False.

    Raises
    ------
    InvalidInputError
        It is neither.
    """
    if not isinstance(value, bool | np.bool_):
        raise InvalidInputError(f"{name}: expected True or False, got {value!r}")
    return bool(value)


def _number(value: object) -> float | None:
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.number):
        return None
    if isinstance(value, np.complexfloating):
        return None
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return None
