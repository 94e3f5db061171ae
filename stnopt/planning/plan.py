"""A plan and what is known of it: the nouns. They know neither model nor solver."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING, Literal

import pandas as pd

from stnopt.arguments import a, check_arguments, one_of
from stnopt.errors import InvalidInputError
from stnopt.files import write_text
from stnopt.planning.facility import value_in
from stnopt.plant.checks import ReadOnlyMapping, checked_number

if TYPE_CHECKING:
    from pathlib import Path

    from stnopt.planning.problem import PlanningProblem
    from stnopt.scheduling.schedule import Schedule

_FORMAT = "stnopt plan 1"
_KEYS = {
    "production": ("facility", "period", "product"),
    "shipments": ("source", "to", "period", "product"),
    "lost": ("customer", "period", "product"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is made where and when, and where it goes; all else follows from it.

    Parameters
    ----------
    production : mapping of (facility, period, product) to float
        Amounts that the plants make at least.
    shipments : mapping of (facility, facility or customer, period, product) to float
        Amounts that leave in a period; with the lane's lead they arrive.
    lost : mapping of (customer, period, product) to float
        Demand that is given up.

    Raises
    ------
    InvalidInputError
        With every amount that is none.
    """

    production: Mapping[tuple[str, str, str], float]
    shipments: Mapping[tuple[str, str, str, str], float] = field(default_factory=dict)
    lost: Mapping[tuple[str, str, str], float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        problems: list[str] = []
        for key, names in _KEYS.items():
            given = getattr(self, key)
            if not isinstance(given, Mapping):
                problems.append(f"{key} must be a mapping, got {given!r}")
                continue
            amounts = {}
            for row, amount in given.items():
                if not isinstance(row, tuple) or len(row) != len(names):
                    problems.append(f"{key}: expected ({', '.join(names)}), got {row!r}")
                    continue
                label = f"{key} of {' '.join(map(str, row))}"
                amounts[row] = checked_number(amount, label, problems, least=0.0)
            object.__setattr__(self, key, ReadOnlyMapping(amounts))
        if problems:
            raise InvalidInputError(problems)

    def __repr__(self) -> str:
        counts = ", ".join(f"{len(getattr(self, part))} {part}" for part in _KEYS)
        return f"Plan(amounts: {counts})"

    def _repr_html_(self) -> str:
        """Return what is made, shipped and lost, as notebooks show it."""
        from stnopt.page.notebook import show_plan

        return show_plan(self)

    def to_frame(
        self, part: Literal["production", "shipments", "lost"] = "production"
    ) -> pd.DataFrame:
        """Return one row per amount of a part of the plan."""
        check_arguments(part=(part, one_of(("production", "shipments", "lost"))))
        rows = [(*key, amount) for key, amount in getattr(self, part).items()]
        return pd.DataFrame(rows, columns=[*_KEYS[part], "amount"])

    def to_json(self, path: Path | str | None = None) -> str:
        """Write the plan as JSON, exact to the last bit, and return the text."""
        content: dict[str, object] = {"format": _FORMAT}
        for key in _KEYS:
            content[key] = [[*row, amount] for row, amount in getattr(self, key).items()]
        text = json.dumps(content, allow_nan=False)
        if path is not None:
            write_text(path, text + "\n")
        return text

    def to_csv(self, path: Path | str) -> None:
        """Write one row per amount, exact to the last bit; `read_plan` reads it back.

        Columns are ``part`` (production, shipments or lost), ``facility``, ``to``, ``period``,
        ``product`` and ``amount``.

        Raises
        ------
        InvalidInputError
            If it cannot be written.
        """
        from stnopt.planning.plan_table import plan_to_csv

        write_text(path, plan_to_csv(self))

    def to_excel(self, path: Path | str) -> None:
        """Write the same table as the sheet ``plan`` of a workbook (extra `excel`).

        Raises
        ------
        InvalidInputError
            If it cannot be written, or openpyxl is not installed.
        """
        from stnopt.planning.plan_table import COLUMNS, plan_rows
        from stnopt.workbook import write_workbook

        write_workbook(path, {"plan": (COLUMNS, plan_rows(self))})

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote; nothing in it is executed.

        Raises
        ------
        InvalidInputError
            If it is not a plan.
        """
        check_arguments(text=(text, a(str)))
        try:
            content = json.loads(text)
            if content["format"] != _FORMAT:
                raise InvalidInputError(f"plan: expected 'format': {_FORMAT!r}")
            return cls(**{key: {tuple(row[:-1]): row[-1] for row in content[key]} for key in _KEYS})
        except (ValueError, KeyError, TypeError, IndexError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(f"not a plan in JSON: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodCheck:
    """What is known of a facility's production in a period.

    Attributes
    ----------
    facility, period : str
    planned : mapping of str to float
        Amount per product.
    schedule : Schedule or None
        Replayed, free of violations; it makes what is planned if `holds`, else as much of it as
        was found.
    holds : bool
    reason : str
        Why it does not hold: proven for any schedule, for some event points, or undecided.
    short : mapping of str to float
        Per product, by how much `schedule` misses the plan.
    cost : float or None
        Of the schedule's raw materials and batches.
    """

    facility: str
    period: str
    planned: Mapping[str, float]
    schedule: Schedule | None
    holds: bool
    reason: str = ""
    short: Mapping[str, float] = field(default_factory=dict)
    cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Whether a plan holds, period by period, with the schedules that show it.

    Attributes
    ----------
    checks : tuple of PeriodCheck
        One per facility and period in which something is made.
    problems : tuple of str
        What does not add up in the plan itself: stocks, lanes, demand.
    costs : mapping of str to float
        What the plan costs, by kind; production at the schedules' own cost.
    n_scheduled : int
        Different questions that were put to a plant.
    """

    checks: tuple[PeriodCheck, ...]
    problems: tuple[str, ...]
    costs: Mapping[str, float]
    n_scheduled: int = 0

    @property
    def verified(self) -> bool:
        """Whether every period has a schedule and the plan adds up."""
        return not self.problems and all(check.holds for check in self.checks)

    @property
    def cost(self) -> float | None:
        """Cost of the plan at its schedules; None unless all of them exist."""
        return sum(self.costs.values()) if self.verified else None

    def to_frame(self) -> pd.DataFrame:
        """Return one row per facility, period and product: planned, short, holds, why not."""
        rows = [
            (c.facility, c.period, p, amount, c.short.get(p, 0.0), c.holds, c.reason)
            for c in self.checks
            for p, amount in c.planned.items()
        ]
        columns = ["facility", "period", "product", "planned", "short", "holds", "reason"]
        return pd.DataFrame(rows, columns=columns)

    def __str__(self) -> str:
        """Say in a few lines what holds and what does not."""
        lines = [f"The plan {'holds' if self.verified else 'does not hold'}."]
        lines += list(self.problems)
        for check in self.checks:
            if not check.holds:
                short = ", ".join(f"{amount:.4g} of {p}" for p, amount in check.short.items())
                tail = f"; short by {short}" if short else ""
                lines.append(f"{check.facility}, period {check.period}: {check.reason}{tail}")
        return "\n".join(lines)


#: What ended the search for a plan.
Stopped = Literal["gap closed", "time limit", "no further gain", "infeasible", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSearch:
    """The best plan found, what is proven of it, and how it was found.

    Attributes
    ----------
    plan : Plan or None
        The best one; verified if `verified`.
    verification : Verification or None
        Of that plan.
    cost : float or None
        What the plan costs at its schedules.
    bound : float or None
        No plan costs less, whatever its schedules.
    event_bound : float or None
        The same if what was proven for some event points held for all: no proof.
    rounds : int
        Plans that were made.
    first_failed : bool or None
        Whether the first plan had a period without a schedule.
    n_scheduled : int
        Different questions put to a plant, and answered from neither store nor known schedules.
    stopped : str
    open_questions : tuple of str
        What keeps the gap from closing.
    seconds : float
    """

    plan: Plan | None
    verification: Verification | None
    cost: float | None
    bound: float | None
    event_bound: float | None
    rounds: int
    first_failed: bool | None
    n_scheduled: int
    stopped: Stopped
    open_questions: tuple[str, ...] = ()
    seconds: float = 0.0

    def __repr__(self) -> str:
        numbers = {"cost": self.cost, "bound": self.bound, "gap": self.gap}
        told = [f"{what} {value:.6g}" for what, value in numbers.items() if value is not None]
        known = "verified" if self.verified else "not verified"
        return f"PlanSearch({', '.join([known, *told, f'stopped: {self.stopped}'])})"

    def _repr_html_(self) -> str:
        """Return the plan and what is proven of it, as notebooks show it."""
        from stnopt.page.notebook import show_plan_search

        return show_plan_search(self)

    @property
    def verified(self) -> bool:
        """Whether every period of the plan has a replayed schedule."""
        return self.verification is not None and self.verification.verified

    @property
    def gap(self) -> float | None:
        """``|cost - bound| / |cost|``; None where one is unknown."""
        if self.cost is None or self.bound is None:
            return None
        return abs(self.cost - self.bound) / max(abs(self.cost), 1e-10)


def stocks_of(plan: Plan, problem: PlanningProblem) -> dict[tuple[str, str, str], float]:
    """Return what is in stock at every period's end, by facility, period and product."""
    n = len(problem.periods)
    changes = {
        (name, product): [
            facility.stock.get(product, 0.0),
            *(value_in(facility.receipts.get(product, 0.0), index) for index in range(n)),
        ]
        for name, facility in problem.facilities.items()
        for product in problem.products
    }
    number = {period: index for index, period in enumerate(problem.periods)}
    for (facility, period, product), amount in plan.production.items():
        changes[facility, product][number[period] + 1] += amount
    for (source, to, period, product), amount in plan.shipments.items():
        changes[source, product][number[period] + 1] -= amount
        lane = problem.lane(source, to, product)
        arrives = number[period] + (lane.lead if lane else 0)
        if to in problem.facilities and arrives < n:
            changes[to, product][arrives + 1] += amount
    stocks = {}
    for (facility, product), row in changes.items():
        for period, level in zip(problem.periods, list(accumulate(row))[1:], strict=True):
            stocks[facility, period, product] = level
    return stocks


def owed_of(plan: Plan, problem: PlanningProblem) -> dict[tuple[str, str, str], float]:
    """Return what is owed at every period's end, by customer, period and product."""
    n = len(problem.periods)
    changes = {(c, p): [0.0] * n for c in problem.customers for p in problem.products}
    number = {period: index for index, period in enumerate(problem.periods)}
    for (customer, period, product), amount in problem.wanted.items():
        changes[customer, product][number[period]] += amount
    for (customer, period, product), amount in plan.lost.items():
        changes[customer, product][number[period]] -= amount
    for (source, to, period, product), amount in plan.shipments.items():
        lane = problem.lane(source, to, product)
        arrives = number[period] + (lane.lead if lane else 0)
        if to in problem.customers and arrives < n:
            changes[to, product][arrives] -= amount
    return {
        (customer, period, product): level
        for (customer, product), row in changes.items()
        for period, level in zip(problem.periods, accumulate(row), strict=True)
    }
