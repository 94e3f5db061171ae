"""A schedule for a period's production: one that is known, retimed, or searched for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stnopt.errors import InvalidScheduleError, UnsupportedModelError
from stnopt.planning.fewer_batches import costs_in_steps, leave_out_batches
from stnopt.planning.knowledge import Answer
from stnopt.planning.prove import cost_by_sums
from stnopt.planning.question import cost_of
from stnopt.scheduling.search.find_schedule import find_schedule
from stnopt.scheduling.search.improve import improve_schedule
from stnopt.solvers.result import Status

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from stnopt.planning.knowledge import Knowledge, Verdict
    from stnopt.planning.question import PeriodQuestion
    from stnopt.scheduling.schedule import Schedule

#: Known schedules that are retimed before a search is begun.
_RETIMED = 8
#: A schedule that costs no more than this above the least cost in sums is not improved.
_DEARER = 1e-3


def schedule_period(
    knowledge: Knowledge,
    question: PeriodQuestion,
    amounts: NDArray[np.float64],
    *,
    time_limit: float,
    may_search: bool = True,
) -> tuple[Answer, bool]:
    """Find a schedule that makes at least some amounts, as cheaply as is quickly found.

    Parameters
    ----------
    knowledge : Knowledge
        Of the same plant and horizon; costs may be others.
    question : PeriodQuestion
    amounts : (p,) array
    time_limit : float
        Seconds of a search.
    may_search : bool
        Whether a search may be begun where no known schedule can be retimed.

    Returns
    -------
    answer : Answer
    searched : bool
        Whether a search was begun.
    """
    key = knowledge.key_of(question, amounts)
    if key in knowledge.answers:
        return knowledge.answers[key], False
    wanted = question.problem(np.maximum(amounts - question.tolerance / 2, 0.0))
    network = question.network
    # half a tolerance less is asked for, and costs hardly less
    sums = cost_by_sums(question, amounts)
    least = max([sums, *(cut.at(amounts) for cut in knowledge.cuts_of(question))])
    best = _retime(knowledge, question, amounts, least)
    searched = False
    verdict: Verdict = "undecided"
    if knowledge.is_excluded(amounts):
        verdict = "infeasible"
    elif best is None and may_search:
        searched = True
        if not wanted.targets:
            from stnopt.scheduling.schedule import Schedule

            best = Schedule(batches=(), final_stock={}, horizon=question.horizon)
        else:
            found = find_schedule(network, wanted, time_limit=time_limit)
            best = found.schedule
            if best is None and found.result.status is Status.INFEASIBLE:
                anyhow = found.proof.scope == "any schedule"
                verdict = "infeasible" if anyhow else "infeasible at event points"
    if best is not None:
        verdict = "feasible"
        knowledge.add_schedule(best)
    elif not may_search and verdict == "undecided":
        return Answer(amounts=amounts, verdict=verdict, schedule=None), searched
    answer = Answer(amounts=amounts, verdict=verdict, schedule=best)
    knowledge.answers[key] = answer
    return answer, searched


def _retime(
    knowledge: Knowledge,
    question: PeriodQuestion,
    amounts: NDArray[np.float64],
    least: float,
) -> Schedule | None:
    """Give the nearest known schedules other times and sizes; return the cheapest that will do."""
    wanted = question.problem(np.maximum(amounts - question.tolerance / 2, 0.0))
    if not wanted.targets:
        return None
    scale = np.maximum(knowledge.upper, 1e-9)
    scale[~np.isfinite(scale)] = 1.0

    def distance(made: NDArray[np.float64]) -> tuple[float, float]:
        apart = (made - amounts) / scale
        return float(np.maximum(-apart, 0.0).sum()), float(np.maximum(apart, 0.0).sum())

    nearest = sorted(knowledge.made, key=lambda known: distance(known[0]))[:_RETIMED]
    enough = least + _DEARER * abs(least) + 1e-9
    best, cheapest = None, np.inf
    for made, known in nearest:
        try:
            schedule = improve_schedule(known, question.network, wanted)
        except InvalidScheduleError:
            if not np.all(made >= amounts - question.tolerance):
                continue
            schedule = known
        except UnsupportedModelError:
            if not np.all(made >= amounts - question.tolerance):
                continue
            schedule = known
        cost = cost_of(schedule, question)
        if cost < cheapest:
            best, cheapest = schedule, cost
        if cheapest <= enough:
            break
    if best is not None and cheapest > enough and costs_in_steps(question):
        best = leave_out_batches(best, question, wanted)
    return best
