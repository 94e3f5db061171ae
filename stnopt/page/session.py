"""What one user of the page works on: a plant, what is asked of it, and the schedules found."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stnopt.errors import InvalidInputError
from stnopt.plant.orders import Order
from stnopt.plant.problem import Problem
from stnopt.plant.read import load_example, read_plant_file
from stnopt.plant.source import written_yaml

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stnopt.feasibility.certified_region import CertifiedRegion
    from stnopt.plant.network import Network
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.schedule import Schedule

#: A plant is a page of text; what is much larger is none.
MOST_BYTES = 5 * 1024 * 1024
_SUFFIXES = (".yaml", ".yml", ".json", ".xlsx")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A schedule that is kept, and how it came about.

    Parameters
    ----------
    name : str
    network : Network
        What it is replayed on; a unit that is down is in it.
    problem : Problem
    schedule : Schedule
    value, bound : float or None
        Its objective, and what no schedule is better than.
    note : str
        What is proven of it.
    """

    name: str
    network: Network
    problem: Problem
    schedule: Schedule
    value: float | None
    bound: float | None
    note: str


@dataclass(slots=True)
class Session:
    """One user's work; nothing in it is shared with another.

    Parameters
    ----------
    network : Network
    problem : Problem
    state : PlantState or None
    """

    network: Network
    problem: Problem
    state: PlantState | None = None
    region: CertifiedRegion | None = None
    scenarios: list[Scenario] = field(default_factory=list)

    @classmethod
    def of_plant(cls, plant: str) -> Session:
        """Open a plant file, tables, or an example."""
        if Path(plant).exists() or Path(plant).suffix.lower() in _SUFFIXES:
            return cls(*_complete(read_plant_file(plant)))
        return cls(load_example(plant), Problem(horizon=8.0))

    @classmethod
    def of_upload(cls, name: str, content: bytes) -> Session:
        """Open an uploaded file.

        Raises
        ------
        InvalidInputError
            With every problem of the file at once.
        """
        suffix = Path(name).suffix.lower()
        if suffix not in _SUFFIXES:
            raise InvalidInputError(f"{name!r}: a plant file ends in {', '.join(_SUFFIXES)}")
        if len(content) > MOST_BYTES:
            raise InvalidInputError(f"{name!r} has {len(content) / 2**20:.0f} MB; 5 MB is the most")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"upload{suffix}"
            path.write_bytes(content)
            try:
                return cls(*_complete(read_plant_file(path)))
            except InvalidInputError as error:
                raise InvalidInputError(error.problems, source=name) from error

    def with_orders(self, rows: Iterable[Mapping[str, Any]]) -> Problem:
        """Return the problem with orders as they stand in the page's table.

        Raises
        ------
        InvalidInputError
            With every problem of the rows.
        """
        orders: list[Order] = []
        problems: list[str] = []
        for row in rows:
            if not any(str(value or "").strip() for value in row.values()):
                continue
            try:
                orders.append(_order(row))
            except InvalidInputError as error:
                problems.extend(error.problems)
        problems += [
            f"order {order.id!r}: the plant has no state {order.state!r}"
            for order in orders
            if order.state not in self.network.states
        ]
        if problems:
            raise InvalidInputError(problems)
        return replace(self.problem, orders=tuple(orders))

    def written(self) -> str:
        """Write plant, problem and state as a plant file."""
        content = {"plant": self.network.to_dict(), "problem": self.problem.to_dict()}
        if self.state is not None:
            content["now"] = self.state.to_dict()
        return written_yaml(content)


def _complete(
    found: tuple[Network, Problem | None, PlantState | None],
) -> tuple[Network, Problem, PlantState | None]:
    network, problem, state = found
    return network, problem or Problem(horizon=8.0), state


def _order(row: Mapping[str, Any]) -> Order:
    values: dict[str, Any] = {"id": str(row.get("id") or ""), "state": str(row.get("state") or "")}
    for key in ("amount", "due", "priority"):
        text = str(row.get(key) if row.get(key) is not None else "").strip().replace(",", ".")
        if not text and key == "priority":
            continue
        try:
            values[key] = float(text)
        except ValueError as error:
            raise InvalidInputError(
                f"order {values['id']!r}: {key} must be a number, got {text!r}"
            ) from error
    partial = row.get("partial")
    return Order(**values, partial=partial is True or str(partial).lower() in ("true", "yes"))
