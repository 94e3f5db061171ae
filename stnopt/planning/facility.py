"""A site of a planning problem: its plant, its periods' length, its stocks and what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from stnopt.arguments import BY_NAME, LIST, TEXT, WHOLE, check_arguments
from stnopt.errors import InvalidInputError
from stnopt.plant.checks import ReadOnlyMapping, checked_number, did_you_mean, name_problems
from stnopt.plant.network import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

PerPeriod: TypeAlias = "float | Sequence[float]"
"""One number for all periods, or one for each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facility:
    """A plant at a site, and the stocks of products there.

    Parameters
    ----------
    name : str
    network : Network
        The plant. Every period begins with its `initial` stocks and nothing in progress. Products
        have no initial stock there: what is stored between periods is `stock`.
    horizon : float or sequence of float
        Length of every period, or of each, in the plant's time unit.
    closed : iterable of str
        Names of the periods in which the plant does not run.
    stock : mapping of str to float
        Per product, what is in stock before the first period.
    storage : mapping of str to float
        Per product, the most that may be in stock at a period's end; unlimited if left out.
    safety, safety_cost : mapping of str to float
        Per product, what should be in stock at a period's end, and the cost of an amount below it
        for a period.
    holding_cost : mapping of str to float
        Per product, the cost of an amount in stock at a period's end.
    raw_cost : mapping of str to PerPeriod
        Per raw material, its cost per amount consumed, in place of the plant file's.
    supply : mapping of str to PerPeriod
        Per raw material, what there is of it in a period (not carried on); in place of `initial`.
    receipts : mapping of str to PerPeriod
        Per product, what comes from outside in a period: what was bought, or is on its way.
    plants : mapping of str to Network
        Plants for single periods, such as one in which a unit is away.

    Raises
    ------
    InvalidInputError
        With every problem of this facility.
    """

    name: str
    network: Network
    horizon: PerPeriod
    closed: frozenset[str] = frozenset()
    stock: Mapping[str, float] = field(default_factory=dict)
    storage: Mapping[str, float] = field(default_factory=dict)
    safety: Mapping[str, float] = field(default_factory=dict)
    safety_cost: Mapping[str, float] = field(default_factory=dict)
    holding_cost: Mapping[str, float] = field(default_factory=dict)
    raw_cost: Mapping[str, PerPeriod] = field(default_factory=dict)
    supply: Mapping[str, PerPeriod] = field(default_factory=dict)
    receipts: Mapping[str, PerPeriod] = field(default_factory=dict)
    plants: Mapping[str, Network] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_arguments(closed=(self.closed, LIST), plants=(self.plants, BY_NAME))
        problems = name_problems("a facility", self.name)
        owner = f"facility {self.name!r}"
        for period, plant in {"": self.network, **dict(self.plants)}.items():
            if not isinstance(plant, Network):
                where = f"plants: {period!r}" if period else "network"
                problems.append(f"{owner}: {where} must be a Network, got {plant!r}")
        if problems:
            raise InvalidInputError(problems)
        self._settle("horizon", per_period(self.horizon, f"{owner}: horizon", problems, above=0.0))
        if isinstance(self.closed, str) or not isinstance(self.closed, Iterable):
            problems.append(f"{owner}: closed must be a list of periods, got {self.closed!r}")
        else:
            self._settle("closed", frozenset(map(str, self.closed)))
        for key in ("stock", "storage", "safety", "safety_cost", "holding_cost"):
            numbers = self._mapping(key, problems)
            checked = {
                name: checked_number(
                    value, f"{owner}: {key} of {name!r}", problems, least=0.0, finite=False
                )
                for name, value in numbers.items()
            }
            self._settle(key, ReadOnlyMapping(checked))
        for key in ("raw_cost", "supply", "receipts"):
            values = {
                name: per_period(value, f"{owner}: {key} of {name!r}", problems, least=0.0)
                for name, value in self._mapping(key, problems).items()
            }
            self._settle(key, ReadOnlyMapping(values))
        self._settle("plants", ReadOnlyMapping(dict(self.plants)))
        problems += self._state_problems(owner)
        if problems:
            raise InvalidInputError(problems)

    def _settle(self, key: str, value: object) -> None:
        object.__setattr__(self, key, value)

    def _mapping(self, key: str, problems: list[str]) -> dict[str, Any]:
        given = getattr(self, key)
        if not isinstance(given, Mapping):
            problems.append(f"facility {self.name!r}: {key} must be a mapping, got {given!r}")
            return {}
        for name in given:
            problems.extend(name_problems(f"facility {self.name!r}: an entry of {key}", name))
        return {name: value for name, value in given.items() if isinstance(name, str)}

    def _state_problems(self, owner: str) -> list[str]:
        """Names that the plant does not have, and raw materials that it makes itself."""
        problems = []
        states = self.network.states
        for key in ("stock", "storage", "safety", "safety_cost", "holding_cost", "receipts"):
            for name in getattr(self, key):
                if name not in states:
                    hint = did_you_mean(name, states)
                    problems.append(f"{owner}: {key}: the plant has no state {name!r}{hint}")
                elif not self.network.producers(name):
                    problems.append(f"{owner}: {key}: the plant does not make {name!r}")
        for key in ("raw_cost", "supply"):
            for name in getattr(self, key):
                if name not in states:
                    hint = did_you_mean(name, states)
                    problems.append(f"{owner}: {key}: the plant has no state {name!r}{hint}")
                elif not self.network.consumers(name):
                    problems.append(f"{owner}: {key}: no task consumes {name!r}")
        for name, amount in self.stock.items():
            if amount > self.storage.get(name, math.inf):
                problems.append(
                    f"{owner}: stock of {name!r}, {amount:g}, exceeds its storage "
                    f"({self.storage[name]:g})"
                )
        for name in self.safety_cost:
            if name not in self.safety:
                problems.append(f"{owner}: safety_cost of {name!r} without a safety stock")
        return problems

    def length(self, index: int) -> float:
        """Return the length of a period, by its number from 0, in the plant's time unit."""
        check_arguments(index=(index, WHOLE))
        return value_in(self.horizon, index)

    def plant_in(self, period: str, index: int) -> Network:
        """Return the plant of a period with its supply: what a region for it must be made from."""
        check_arguments(period=(period, TEXT), index=(index, WHOLE))
        plant = self.plants.get(period, self.network)
        limited = {
            name: replace(
                plant.states[name],
                initial=value_in(amounts, index),
                capacity=max(plant.states[name].capacity, value_in(amounts, index)),
            )
            for name, amounts in self.supply.items()
            if name in plant.states  # another plant may go without it
        }
        return replace(plant, states={**plant.states, **limited}) if limited else plant

    def priced_plant_in(self, period: str, index: int) -> Network:
        """Return the plant of a period with its supply and its costs of raw materials."""
        check_arguments(period=(period, TEXT), index=(index, WHOLE))
        plant = self.plant_in(period, index)
        priced = {
            name: replace(plant.states[name], cost=value_in(costs, index))
            for name, costs in self.raw_cost.items()
            if name in plant.states
        }
        return replace(plant, states={**plant.states, **priced}) if priced else plant


def per_period(
    value: object,
    label: str,
    problems: list[str],
    *,
    least: float | None = None,
    above: float | None = None,
) -> float | tuple[float, ...]:
    """Check one number, or one for each period."""
    if isinstance(value, list | tuple):
        return tuple(
            checked_number(each, f"{label}, period {number}", problems, least=least, above=above)
            for number, each in enumerate(value, 1)
        )
    return checked_number(value, label, problems, least=least, above=above)


def value_in(value: PerPeriod, index: int) -> float:
    """Return the value of a period, by its number from 0."""
    return float(value) if isinstance(value, int | float) else float(value[index])
