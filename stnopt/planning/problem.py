"""What a plan is asked for: periods, demand, sites with their plants, transport between them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stnopt.arguments import BY_NAME, LIST, TEXT, Kind, check_arguments, many, one_of
from stnopt.errors import InvalidInputError
from stnopt.planning.facility import Facility
from stnopt.plant.checks import ReadOnlyMapping, checked_number, did_you_mean, name_problems

MARKET = "market"
"""The customer where none is named."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a customer wants in a period. Written like a row: positional arguments are fine.

    Parameters
    ----------
    period, product : str
    amount : float
        At least 0.
    customer : str

    Raises
    ------
    InvalidInputError
        With every problem of this row.
    """

    period: str
    product: str
    amount: float
    customer: str = MARKET

    def __post_init__(self) -> None:
        problems: list[str] = []
        for key in ("period", "product", "customer"):
            problems += name_problems(f"demand: {key}", getattr(self, key))
        owner = f"demand of {self.product!r} in period {self.period!r} by {self.customer!r}"
        amount = checked_number(self.amount, f"{owner}: amount", problems, least=0.0)
        object.__setattr__(self, "amount", amount)
        if problems:
            raise InvalidInputError(problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """Transport from a facility to another, or to a customer.

    Parameters
    ----------
    source, to : str
        A facility, and a facility or customer.
    cost : float
        Per amount.
    capacity : float
        Most that leaves in a period, all products together.
    lead : int
        Periods between leaving and arriving.
    products : tuple of str
        What it carries; empty for everything.

    Raises
    ------
    InvalidInputError
        With every problem of this lane.
    """

    source: str
    to: str
    cost: float = 0.0
    capacity: float = math.inf
    lead: int = 0
    products: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_arguments(
            source=(self.source, TEXT), to=(self.to, TEXT), products=(self.products, many(str))
        )
        problems = name_problems("a lane's source", self.source)
        problems += name_problems("a lane's end", self.to)
        owner = f"lane from {self.source!r} to {self.to!r}"
        cost = checked_number(self.cost, f"{owner}: cost", problems, least=0.0)
        capacity = checked_number(
            self.capacity, f"{owner}: capacity", problems, least=0.0, finite=False
        )
        if isinstance(self.lead, bool) or not isinstance(self.lead, int) or self.lead < 0:
            problems.append(
                f"{owner}: lead must be a whole number of periods, at least 0, got {self.lead!r}"
            )
        if self.source == self.to:
            problems.append(f"{owner}: it ends where it starts")
        object.__setattr__(self, "cost", cost)
        object.__setattr__(self, "capacity", capacity)
        object.__setattr__(self, "products", tuple(self.products))
        if problems:
            raise InvalidInputError(problems)


_PERIODS = Kind(
    "names of periods, or their number up to 10000",
    lambda value: (
        (isinstance(value, int) and not isinstance(value, bool) and value <= 10_000)
        or (LIST.fits(value) and not any(isinstance(each, bool) for each in value))
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanningProblem:
    """Who wants what when, and with which plants, stocks and lanes it can be met.

    A period's production is in stock at its end, and may be delivered in the same period. What is
    minimised is the cost of raw materials and batches, holding, stock below its safety level,
    transport, backlog and lost sales, less what deliveries earn.

    Parameters
    ----------
    periods : tuple of str, or int
        Names in order of time; a number n stands for "1" to "n".
    facilities : mapping of str to Facility
    demand : tuple of Demand
    price : mapping of str to float
        Per product, what a delivered amount earns.
    backlog_cost : mapping of str to float
        Per product, cost of an amount that is late, for each period. A product that is left out is
        never late.
    lost_cost : mapping of str to float
        Per product, cost of an amount that is never delivered. A product that is left out must be
        delivered whole by the last period.
    lanes : tuple of Lane
        A customer to whom no lane leads is served by every facility at once and at no cost.
    carry_over : bool
        Whether running batches and intermediates go from period to period. Otherwise a period
        starts from an empty plant, and what is left of intermediates is scrapped at no cost.

    Raises
    ------
    InvalidInputError
        With every problem of this problem.
    """

    periods: tuple[str, ...]
    facilities: Mapping[str, Facility]
    demand: tuple[Demand, ...]
    price: Mapping[str, float] = field(default_factory=dict)
    backlog_cost: Mapping[str, float] = field(default_factory=dict)
    lost_cost: Mapping[str, float] = field(default_factory=dict)
    lanes: tuple[Lane, ...] = ()
    carry_over: bool = False

    def __post_init__(self) -> None:
        check_arguments(
            periods=(self.periods, _PERIODS),
            demand=(self.demand, LIST),
            price=(self.price, BY_NAME),
            backlog_cost=(self.backlog_cost, BY_NAME),
            lost_cost=(self.lost_cost, BY_NAME),
            lanes=(self.lanes, LIST),
        )
        problems: list[str] = []
        self._settle("periods", _period_names(self.periods, problems))
        facilities = self.facilities
        if not isinstance(facilities, Mapping) or not facilities:
            problems.append(f"facilities: give at least one, got {facilities!r}")
            facilities = {}
        for name, facility in facilities.items():
            if not isinstance(facility, Facility):
                problems.append(f"facilities: {name!r} must be a Facility, got {facility!r}")
            elif facility.name != name:
                problems.append(f"facilities: {name!r} holds the one named {facility.name!r}")
        if problems:
            raise InvalidInputError(problems)
        self._settle("facilities", ReadOnlyMapping(dict(facilities)))
        self._settle("lanes", tuple(self.lanes))
        self._settle("demand", tuple(self.demand))
        for key, kind in (("lanes", Lane), ("demand", Demand)):
            for each in getattr(self, key):
                if not isinstance(each, kind):
                    problems.append(f"{key}: expected a {kind.__name__}, got {each!r}")
        if problems:
            raise InvalidInputError(problems)
        for facility in facilities.values():
            problems += _period_problems(facility, self.periods)
        problems += self._demand_problems()
        for key in ("price", "backlog_cost", "lost_cost"):
            self._settle(key, ReadOnlyMapping(self._numbers(key, problems)))
        problems += self._lane_problems()
        problems += self._product_problems()
        if not isinstance(self.carry_over, bool):
            problems.append(f"carry_over must be true or false, got {self.carry_over!r}")
        if problems:
            raise InvalidInputError(problems)

    def _settle(self, key: str, value: object) -> None:
        object.__setattr__(self, key, value)

    def _numbers(self, key: str, problems: list[str]) -> dict[str, float]:
        given: Any = getattr(self, key)
        if not isinstance(given, Mapping):
            problems.append(f"{key} must be a mapping from products, got {given!r}")
            return {}
        for name in given:
            if name not in self.products:
                problems.append(f"{key}: nobody wants {name!r}{did_you_mean(name, self.products)}")
        return {
            name: checked_number(value, f"{key} of {name!r}", problems, least=0.0)
            for name, value in given.items()
        }

    def _demand_problems(self) -> list[str]:
        problems = []
        if not self.demand:
            problems.append("demand: there is none; give at least one row")
        seen: set[tuple[str, str, str]] = set()
        for row in self.demand:
            where = f"demand of {row.product!r} by {row.customer!r}"
            if row.period not in self.periods:
                hint = did_you_mean(row.period, self.periods)
                problems.append(f"{where}: there is no period {row.period!r}{hint}")
            key = (row.period, row.product, row.customer)
            if key in seen:
                problems.append(f"{where}: period {row.period!r} is there more than once")
            seen.add(key)
            if row.customer in self.facilities:
                problems.append(f"{where}: a customer has a facility's name")
        for product in self.products:
            if not any(product in f.network.states for f in self.facilities.values()):
                known = {s for f in self.facilities.values() for s in f.network.states}
                problems.append(
                    f"demand: no plant has the product {product!r}{did_you_mean(product, known)}"
                )
            elif not any(f.network.producers(product) for f in self.facilities.values()):
                problems.append(f"demand: no plant makes {product!r}")
        return problems

    def _lane_problems(self) -> list[str]:
        problems = []
        ends = {*self.facilities, *self.customers}
        for lane in self.lanes:
            owner = f"lane from {lane.source!r} to {lane.to!r}"
            if lane.source not in self.facilities:
                hint = did_you_mean(lane.source, self.facilities)
                problems.append(f"{owner}: there is no facility {lane.source!r}{hint}")
            if lane.to not in ends:
                hint = did_you_mean(lane.to, ends)
                problems.append(f"{owner}: {lane.to!r} is neither facility nor customer{hint}")
            problems += [
                f"{owner}: nobody wants {product!r}{did_you_mean(product, self.products)}"
                for product in lane.products
                if product not in self.products
            ]
        pairs = [
            (lane.source, lane.to, product)
            for lane in self.lanes
            for product in (lane.products or self.products)
        ]
        problems += [
            f"lane from {source!r} to {to!r}: {product!r} is carried by more than one"
            for source, to, product in sorted({pair for pair in pairs if pairs.count(pair) > 1})
        ]
        return problems

    def _product_problems(self) -> list[str]:
        """Products that a plant begins with: they would appear anew in every period."""
        problems = []
        for facility in self.facilities.values():
            for plant in (facility.network, *facility.plants.values()):
                for product in self.products:
                    state = plant.states.get(product)
                    if state is not None and (state.initial > 0 or state.arrivals):
                        problems.append(
                            f"facility {facility.name!r}: the plant begins with {product!r}, which"
                            " would be there anew in every period; leave `initial` and `arrivals`"
                            " out and give the facility's stock"
                        )
        return problems

    @property
    def products(self) -> tuple[str, ...]:
        """Names of what is demanded, in order of first appearance."""
        return tuple(dict.fromkeys(row.product for row in self.demand))

    @property
    def customers(self) -> tuple[str, ...]:
        """Names of those who demand, in order of first appearance."""
        return tuple(dict.fromkeys(row.customer for row in self.demand))

    @property
    def wanted(self) -> dict[tuple[str, str, str], float]:
        """The demand by customer, period and product."""
        return {(row.customer, row.period, row.product): row.amount for row in self.demand}

    @property
    def all_lanes(self) -> tuple[Lane, ...]:
        """The lanes, and those to customers to whom no lane leads: free, from every facility."""
        reached = {lane.to for lane in self.lanes}
        free = [
            Lane(source=facility, to=customer)
            for customer in self.customers
            if customer not in reached
            for facility in self.facilities
        ]
        return (*self.lanes, *free)

    def lane(self, source: str, to: str, product: str) -> Lane | None:
        """Return the lane that carries a product from one end to the other, if there is one."""
        check_arguments(source=(source, TEXT), to=(to, TEXT), product=(product, TEXT))
        for lane in self.all_lanes:
            if (lane.source, lane.to) == (source, to) and product in (lane.products or (product,)):
                return lane
        return None

    def made_at(self, facility: str) -> tuple[str, ...]:
        """Return the demanded products that a facility's plant makes."""
        check_arguments(facility=(facility, one_of(self.facilities)))
        network = self.facilities[facility].network
        return tuple(p for p in self.products if p in network.states and network.producers(p))

    def runs(self, facility: str, period: str) -> bool:
        """Whether a facility is open in a period."""
        check_arguments(facility=(facility, one_of(self.facilities)), period=(period, TEXT))
        return period not in self.facilities[facility].closed


def _period_names(given: object, problems: list[str]) -> tuple[str, ...]:
    if isinstance(given, bool) or (isinstance(given, int) and given < 1):
        problems.append(f"periods: give their number, at least 1, or their names, got {given!r}")
        return ()
    if isinstance(given, int):
        return tuple(str(number) for number in range(1, given + 1))
    if isinstance(given, str) or not isinstance(given, Iterable):
        problems.append(f"periods: give their number or their names, got {given!r}")
        return ()
    names = tuple(str(name) for name in given)
    if not names:
        problems.append("periods: there is none")
    for name in names:
        problems += name_problems("a period", name)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        problems.append(f"periods: each name once, but {', '.join(twice)} appear again")
    return names


def _period_problems(facility: Facility, periods: tuple[str, ...]) -> list[str]:
    """Values per period of another number than there are, and periods that are unknown."""
    problems = []
    owner = f"facility {facility.name!r}"
    values: dict[str, object] = {"horizon": facility.horizon}
    values |= {f"raw_cost of {name!r}": v for name, v in facility.raw_cost.items()}
    values |= {f"supply of {name!r}": v for name, v in facility.supply.items()}
    values |= {f"receipts of {name!r}": v for name, v in facility.receipts.items()}
    for label, value in values.items():
        if isinstance(value, tuple) and len(value) != len(periods):
            problems.append(f"{owner}: {label} has {len(value)} values for {len(periods)} periods")
    for key in ("closed", "plants"):
        problems += [
            f"{owner}: {key}: there is no period {period!r}{did_you_mean(period, periods)}"
            for period in sorted(getattr(facility, key))
            if period not in periods
        ]
    return problems
