"""Batches that stay as they are in a model with event points, and what it takes to move one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

from stnopt.errors import UnsupportedModelError
from stnopt.plant.tolerance import size_tolerance, time_tolerance
from stnopt.scheduling.handle import scheduling_handle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stnopt.scheduling.schedule import Batch

#: Of what counts as the same time or amount, what a kept batch may be off by: for rounding.
_SLACK = 0.1


def watch_batches(model: pyo.ConcreteModel, batches: Sequence[Batch]) -> None:
    """Let a model say of each batch whether it is kept (``model.announced.moved[number]`` = 0).

    A batch is kept if one of the model's batches of its task and unit has its start and size:
    ``here`` says which, and whatever event point it stands at. Nothing is demanded yet.

    Parameters
    ----------
    model : pyo.ConcreteModel
        From `build_scheduling_model`, with formulation "unit_events".
    batches : sequence of Batch
        In the model's time.

    Raises
    ------
    UnsupportedModelError
        Another formulation.
    """
    handle = scheduling_handle(model)
    if handle.formulation != "unit_events":
        raise UnsupportedModelError(
            f"formulation {handle.formulation!r} cannot keep batches; use 'unit_events'"
        )
    handle.dominance = None  # its rows know no announced batches
    network, horizon = handle.network, handle.horizon
    same = _SLACK * time_tolerance(horizon)
    block = model.announced = pyo.Block()
    numbers = range(len(batches))
    places = [
        (number, *key)
        for number in numbers
        for key in model.BATCHES
        if key[:2] == (batches[number].task, batches[number].unit)
    ]
    block.here = pyo.Var(places, domain=pyo.Binary)

    @block.Expression(numbers)
    def moved(_: Any, number: int) -> Any:
        return 1 - sum(block.here[place] for place in places if place[0] == number)

    @block.Constraint(numbers)
    def once(b: Any, number: int) -> Any:
        return b.moved[number] >= 0

    @block.Constraint(sorted({place[1:] for place in places}))
    def one_each(b: Any, *key: Any) -> Any:
        stand = [b.here[place] for place in places if place[1:] == key]
        return sum(stand) <= model.run[key]

    @block.Constraint(places, ["after", "before"])
    def start(b: Any, number: int, task: str, unit: str, event: int, span: int, side: str) -> Any:
        off = model.unit_time[unit, event] - batches[number].start
        loose = same + horizon * (1 - b.here[number, task, unit, event, span])
        return off <= loose if side == "after" else -off <= loose

    @block.Constraint(places, ["above", "below"])
    def amount(b: Any, number: int, task: str, unit: str, event: int, span: int, side: str) -> Any:
        here = b.here[number, task, unit, event, span]
        size = batches[number].size
        off = model.size[task, unit, event, span] - size
        loose = _SLACK * size_tolerance(network, task)
        largest = network.tasks[task].units[unit].max_batch
        if side == "above":
            return off <= loose + max(0.0, largest - size) * (1 - here)
        return -off <= loose + size * (1 - here)
