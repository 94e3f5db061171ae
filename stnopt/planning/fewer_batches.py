"""A schedule without the batches that what is asked of it does not need."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.errors import InvalidScheduleError, UnsupportedModelError
from stnopt.planning.question import cost_of
from stnopt.scheduling.search.improve import improve_schedule

if TYPE_CHECKING:
    from stnopt.planning.question import PeriodQuestion
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.schedule import Batch, Schedule

#: Batches that are tried at most, each with a linear program.
_MOST = 40
#: A batch no larger than this times its least size is kept from being smaller.
_LEAST = 1 + 1e-6


def costs_in_steps(question: PeriodQuestion) -> bool:
    """Whether a batch costs something, or has a least size: a little of a product then costs it."""
    fits = question.network.suitabilities
    return any(fit.fixed_cost > 0 or fit.min_batch > 0 for fit in fits)


def leave_out_batches(schedule: Schedule, question: PeriodQuestion, wanted: Problem) -> Schedule:
    """Leave out one batch after the other, the smallest first, as long as that is cheaper.

    Retiming keeps every batch that has a least size: those that would be smaller are tried, and
    those that cost something themselves. What is left makes what is wanted, and has been replayed.

    Parameters
    ----------
    schedule : Schedule
        It makes what is wanted.
    question : PeriodQuestion
    wanted : Problem
    """
    best, cheapest = schedule, cost_of(schedule, question)
    kept: set[tuple[str, str, float]] = set()
    n_tried = 0
    while n_tried < _MOST:
        for batch in sorted(best.batches, key=lambda b: (b.size, b.start)):
            if _named(batch) in kept or not _may_be_dear(batch, question):
                continue
            n_tried += 1
            if n_tried > _MOST:
                break
            fewer = tuple(b for b in best.batches if b is not batch)
            try:
                found = improve_schedule(replace(best, batches=fewer), question.network, wanted)
            except (InvalidScheduleError, UnsupportedModelError):
                kept.add(_named(batch))
                continue
            if cost_of(found, question) < cheapest:
                best, cheapest = found, cost_of(found, question)
                break
            kept.add(_named(batch))
        else:
            break
    return best


def _may_be_dear(batch: Batch, question: PeriodQuestion) -> bool:
    """Whether a batch costs something itself, or is as small as it may be."""
    fit = question.network.tasks[batch.task].units[batch.unit]
    return fit.fixed_cost > 0 or (fit.min_batch > 0 and batch.size <= _LEAST * fit.min_batch)


def _named(batch: Batch) -> tuple[str, str, float]:
    return batch.task, batch.unit, round(batch.size, 6)
