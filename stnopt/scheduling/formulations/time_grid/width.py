"""Which grid the times of a plant lie on."""

from __future__ import annotations

import math
from fractions import Fraction
from functools import reduce
from typing import TYPE_CHECKING

from stnopt.errors import UnsupportedModelError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Delivery
    from stnopt.plant.recipe import Suitability

#: A time this close to a multiple of the width, as a share of the horizon, is one.
SAME_TIME = 1e-9
#: Largest denominator of a time that a common width is looked for with.
_LARGEST_DENOMINATOR = 10_000


def find_grid_width(
    network: Network, deliveries: Iterable[Delivery] = (), *, horizon: float
) -> float | None:
    """Return the widest grid on which all times of a plant lie, or `None` if there is none."""
    if any(_varies(fit) for fit in network.suitabilities):
        return None
    times = [time for _, time in _times_on_grid(network, horizon) if time > SAME_TIME * horizon]
    times += [delivery.time for delivery in deliveries if delivery.time > 0]
    parts = [Fraction(time).limit_denominator(_LARGEST_DENOMINATOR) for time in times]
    if any(
        not part or abs(float(part) - time) > SAME_TIME * horizon
        for part, time in zip(parts, times, strict=True)
    ):
        return None
    return float(reduce(_common_divisor, parts))


def _common_divisor(one: Fraction, other: Fraction) -> Fraction:
    denominator = math.lcm(one.denominator, other.denominator)
    return Fraction(math.gcd(int(one * denominator), int(other * denominator)), denominator)


def _varies(fit: Suitability) -> bool:
    return fit.time_per_amount > 0 and fit.max_batch > fit.min_batch


def _times_on_grid(network: Network, horizon: float) -> Iterator[tuple[str, float]]:
    """Name every time of a plant within the horizon that a grid has to hit."""
    for fit in network.suitabilities:
        batch = f"task {fit.task!r} on unit {fit.unit!r}"
        yield f"the duration of {batch}", fit.duration(fit.max_batch)
        for state, time in fit.release_time.items():
            yield f"the release time of {state!r} from {batch}", time
    for unit, rule in network.unit_rules.items():
        for pair, time in rule.changeovers.items():
            if time > 0:
                yield f"the changeover {pair[0]!r} to {pair[1]!r} on unit {unit!r}", time
        if rule.clean_after:
            yield f"the cleaning of unit {unit!r}", rule.clean_after.duration
        for start, end in (*rule.unavailable, *rule.unattended, *rule.paused):
            if 0 < start < horizon:
                yield f"unit {unit!r}'s period from {start:g}", start
            if start < horizon and end < horizon:
                yield f"unit {unit!r}'s period until {end:g}", end
    for material in network.states.values():
        for time, _ in material.arrivals:
            if 0 < time < horizon:
                yield f"an arrival of {material.name!r}", time
    for utility in network.utilities.values():
        for time, _ in utility.steps:
            if 0 < time < horizon:
                yield f"a step of utility {utility.name!r}", time


def is_multiple(time: float, width: float, horizon: float) -> bool:
    """Whether a time is a multiple of a width."""
    return abs(time - round(time / width) * width) <= SAME_TIME * horizon


def refuse_what_is_off_the_grid(network: Network, width: float, horizon: float) -> None:
    """Refuse a plant some of whose times are no multiples of a width, and name them.

    Raises
    ------
    UnsupportedModelError
    """
    problems = [
        f"{name}, {time:g}, is no multiple of {width:g}"
        for name, time in _times_on_grid(network, horizon)
        if not is_multiple(time, width, horizon)
    ]
    if not problems:
        return
    widest = find_grid_width(network, horizon=horizon)
    advice = "use formulation='unit_events'"
    if widest is not None and is_multiple(horizon, widest, horizon):
        advice = f"use n_events={round(horizon / widest)}, or {advice[4:]}"
    raise UnsupportedModelError(
        f"formulation 'time_grid' has points {width:g} apart (horizon / n_events), but:\n  - "
        + "\n  - ".join(problems)
        + f"\n{advice}"
    )
