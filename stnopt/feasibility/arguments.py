"""Checks of arguments: each returns the value, or names the argument and says what fits it."""

from __future__ import annotations

import math

import numpy as np

from stnopt.errors import InvalidInputError


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
