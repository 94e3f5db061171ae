"""What a plant can reach, and how soon: in batches that follow each other, and in time.

Every batch is as short as can be and whatever else it needs is there in time, so that these are
bounds for any schedule.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection

    from stnopt.plant.network import Network


class Reachability(NamedTuple):
    """The least for each task (until it can start) and each state (until it is there); inf: never.

    Attributes
    ----------
    tasks, states : dict of str to float
    """

    tasks: dict[str, float]
    states: dict[str, float]


def batches_before(network: Network) -> Reachability:
    """Count the batches in a row that must come before each task, and that make each state."""
    there = {
        s.name: 0.0 if s.initial > 0 or s.arrivals else math.inf for s in network.states.values()
    }
    first = dict.fromkeys(network.tasks, math.inf)
    for _ in range(len(network.tasks) + 1):
        for task in network.tasks.values():
            first[task.name] = max((there[s] for s in task.consumes), default=0.0)
            for state in task.produces:
                there[state] = min(there[state], first[task.name] + 1)
    return Reachability(first, there)


def batches_after(network: Network, wanted: Collection[str]) -> Reachability:
    """Count the batches in a row that must follow each task, and that turn each state into one.

    Parameters
    ----------
    network : Network
    wanted : collection of str
        Names of the states that are asked for.
    """
    after = {name: 0.0 if name in wanted else math.inf for name in network.states}
    last = dict.fromkeys(network.tasks, math.inf)
    for _ in range(len(network.tasks) + 1):
        for task in network.tasks.values():
            last[task.name] = min(after[s] for s in task.produces)
            for state in task.consumes:
                after[state] = min(after[state], last[task.name] + 1)
    return Reachability(last, after)


def soonest_times(network: Network) -> Reachability:
    """Return the earliest start of each task, and when each state can first be made (inf: never).

    What is in stock at the start is not made: its state's time is that of the first batch.
    """
    made = dict.fromkeys(network.states, math.inf)
    came = {
        name: 0.0 if state.initial > 0 else min((t for t, _ in state.arrivals), default=math.inf)
        for name, state in network.states.items()
    }
    starts = dict.fromkeys(network.tasks, math.inf)
    quickest = {
        task.name: {
            state: min(
                fit.release_time.get(state, fit.duration(fit.min_batch))
                for fit in task.units.values()
            )
            for state in task.produces
        }
        for task in network.tasks.values()
    }
    for _ in range(len(network.tasks) + 1):
        before = dict(starts)
        for task in network.tasks.values():
            starts[task.name] = max(min(came[s], made[s]) for s in task.consumes)
            for state, time in quickest[task.name].items():
                made[state] = min(made[state], starts[task.name] + time)
        if starts == before:
            break
    return Reachability(starts, made)
