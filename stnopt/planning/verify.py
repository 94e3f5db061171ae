"""Does a plan hold? Every period's production is scheduled and replayed, and the plan added up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from stnopt.arguments import PATH, POSITIVE, check_arguments, optional
from stnopt.errors import InvalidInputError
from stnopt.planning.asked_plan import OnePlan
from stnopt.planning.book import KnowledgeBook
from stnopt.planning.carry_over import check_carried
from stnopt.planning.plan import PeriodCheck, Plan, Verification
from stnopt.planning.plan_sums import check_names
from stnopt.planning.problem import PlanningProblem
from stnopt.planning.question import cost_of, period_questions
from stnopt.planning.schedule_period import schedule_period
from stnopt.planning.shortfall import nearest
from stnopt.planning.store import PlanStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from stnopt.planning.knowledge import Answer
    from stnopt.planning.question import PeriodQuestion


def verify_plan(
    plan: Plan,
    problem: PlanningProblem,
    *,
    time_limit: float = 60.0,
    store: Path | str | None = None,
) -> Verification:
    """Say which periods of a plan can really be made, and what is short where.

    Parameters
    ----------
    plan : Plan
        Anyone's; `Plan(production=...)` with the shipments left out is checked for its production
        alone if `complete_plan` cannot say where it goes.
    problem : PlanningProblem
    time_limit : float
        Seconds for each different question put to a plant.
    store : path, optional
        What is known of the plants, of this plan and of others.

    Returns
    -------
    Verification

    Raises
    ------
    InvalidInputError
        The plan names a facility, period, product, lane or customer that the problem does not have.
    """
    check_arguments(
        plan=(plan, Plan),
        problem=(problem, PlanningProblem),
        time_limit=(time_limit, POSITIVE),
        store=(store, optional(PATH)),
    )
    if not time_limit > 0:
        raise InvalidInputError(f"time_limit must be positive seconds, got {time_limit}")
    check_names(plan, problem)
    if problem.carry_over:
        return check_carried(plan, problem, time_limit=time_limit)
    questions = period_questions(problem)
    with PlanStore(store) as kept:
        book = KnowledgeBook(kept)
        settle = OnePlan(problem=problem, questions=questions).settle
        return check_plan(plan, questions, book, settle=settle, time_limit=time_limit)


def check_plan(
    plan: Plan,
    questions: Mapping[tuple[str, str], PeriodQuestion],
    book: KnowledgeBook,
    *,
    settle: Callable[[Plan], tuple[list[str], dict[str, float]]],
    time_limit: float,
    report: Callable[[str], None] = lambda _: None,
) -> Verification:
    """Verify a plan whose names are known, with and for the knowledge of a book.

    `settle` says what does not add up, and what the plan costs besides production.
    """
    checks: list[PeriodCheck] = []
    answers: dict[tuple[object, ...], Answer] = {}
    production_cost, n_scheduled = 0.0, 0
    for key in dict.fromkeys((f, t) for f, t, _ in plan.production):
        facility, period = key
        planned = {p: a for (f, t, p), a in plan.production.items() if (f, t) == key and a > 0}
        question = questions.get(key)
        beyond = [p for p in planned if question is None or p not in question.products]
        if not planned:
            continue
        if question is None or beyond:
            reason = (
                "the facility is closed"
                if question is None
                else (f"the plant does not make {', '.join(beyond)}")
            )
            short = dict(planned)
            checks.append(
                PeriodCheck(
                    facility=facility,
                    period=period,
                    planned=planned,
                    schedule=None,
                    holds=False,
                    reason=reason,
                    short=short,
                )
            )
            continue
        amounts = np.array([planned.get(product, 0.0) for product in question.products])
        if np.all(amounts <= question.tolerance):
            continue
        knowledge = book.of(question)
        same = (question.key, *knowledge.key_of(question, amounts))
        if same not in answers:
            report(f"schedule {facility}, period {period}")
            answers[same], searched = schedule_period(
                knowledge, question, amounts, time_limit=time_limit
            )
            n_scheduled += searched
            book.save(question)
        check = _judge(facility, period, planned, question, answers[same], book)
        production_cost += check.cost or 0.0
        checks.append(check)
    problems, costs = settle(plan)
    return Verification(
        checks=tuple(checks),
        problems=tuple(problems),
        costs={"production": production_cost, **costs},
        n_scheduled=n_scheduled,
    )


def _judge(
    facility: str,
    period: str,
    planned: Mapping[str, float],
    question: PeriodQuestion,
    answer: Answer,
    book: KnowledgeBook,
) -> PeriodCheck:
    """Turn what is known of a period's amounts into what a planner reads."""
    if answer.verdict == "feasible" and answer.schedule is not None:
        return PeriodCheck(
            facility=facility,
            period=period,
            planned=planned,
            schedule=answer.schedule,
            holds=True,
            cost=cost_of(answer.schedule, question),
        )
    reasons = {
        "infeasible": "no schedule makes this",
        "infeasible at event points": "no schedule was found, and there is none on the event"
        " points that were tried",
    }
    reason = reasons.get(answer.verdict, "undecided: no schedule was found in time")
    schedule, short = nearest(book.of(question), answer.amounts)
    return PeriodCheck(
        facility=facility,
        period=period,
        planned=planned,
        schedule=schedule,
        holds=False,
        reason=reason,
        short=short,
    )
