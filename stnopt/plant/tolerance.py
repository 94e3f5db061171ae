"""How exact a schedule has to be: what counts as the same time and as the same amount."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stnopt.plant.network import Network

SHARE = 1e-6
"""Of the horizon for times, of the largest batch that makes or takes a state for amounts."""


def time_tolerance(horizon: float) -> float:
    """Return how far two times may lie apart and still be one instant, in the plant's time unit."""
    return SHARE * horizon


def amount_tolerance(network: Network, state: str) -> float:
    """Return how far an amount of a state may be off, per movement, in the plant's amount unit.

    It follows from the batches that make or take that state alone, so that grams beside tonnes are
    judged as grams. A state that no task touches has none to spare.
    """
    return SHARE * max(
        (
            fit.max_batch
            for task in network.tasks.values()
            if state in task.consumes or state in task.produces
            for fit in task.units.values()
        ),
        default=0.0,
    )


def size_tolerance(network: Network, task: str) -> float:
    """Return how far a batch's size may be off: what none of the states it moves would notice."""
    recipe = network.tasks[task]
    return min(amount_tolerance(network, state) for state in (*recipe.consumes, *recipe.produces))
