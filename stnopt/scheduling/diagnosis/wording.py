"""Amounts and times in the sentences of an answer: few digits, on the side that stays true."""

from __future__ import annotations

import math


def write_amount(value: float, unit: str, *, up: bool | None = None) -> str:
    """Write a number with its unit (see `write_number`)."""
    return f"{write_number(value, up=up)} {unit}".strip()


def write_number(value: float, *, up: bool | None = None) -> str:
    """Write four digits, rounded to the side on which the sentence stays true."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    digits = 3 - math.floor(math.log10(abs(value)))
    scaled = value * 10.0**digits
    if up is None:
        scaled = round(scaled)
    else:
        # A bound within the tolerances of a round number is that number.
        scaled = math.ceil(scaled - 0.002) if up else math.floor(scaled + 0.02)
    number = scaled / 10.0**digits
    return f"{number:.0f}" if abs(number) >= 1e4 else f"{number:.4g}"


def listed(parts: list[str]) -> str:
    """Write parts as in "A, B and C"."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
