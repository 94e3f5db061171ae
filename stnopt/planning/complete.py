"""A production table from anywhere, and the best that can be done with what it makes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from stnopt.arguments import PATH, check_arguments
from stnopt.errors import InvalidInputError
from stnopt.files import parse_number
from stnopt.planning.model import extract_plan, write_model
from stnopt.planning.plan import Plan
from stnopt.planning.plan_sums import check_names
from stnopt.planning.problem import PlanningProblem
from stnopt.planning.question import period_questions
from stnopt.planning.table import read_rows
from stnopt.solvers.solve import solve

if TYPE_CHECKING:
    from pathlib import Path


_COLUMNS = ("facility", "period", "product", "amount")


def read_production(source: Path | str | pd.DataFrame) -> Plan:
    """Read what a plan makes from a CSV or Excel file or a frame.

    Parameters
    ----------
    source : path or DataFrame
        Columns `facility`, `period`, `product` and `amount`, as `Plan.to_frame` writes them.

    Raises
    ------
    InvalidInputError
        With every problem of the table, each naming its row.
    """
    check_arguments(source=(source, pd.DataFrame if isinstance(source, pd.DataFrame) else PATH))
    name, rows = read_rows(source, required=_COLUMNS, name="production")
    if not rows:
        raise InvalidInputError(["there is no row below the header"], source=name)
    problems: list[str] = []
    amounts: dict[tuple[str, str, str], float] = {}
    for where, row in rows:
        key = (str(row["facility"]), str(row["period"]), str(row["product"]))
        try:
            amount = parse_number(str(row["amount"]))
        except ValueError:
            problems.append(f"{where}: amount must be a number, got {row['amount']!r}")
            continue
        if not 0 <= amount < math.inf or key in amounts:
            what = "given twice" if key in amounts else "amount must be finite and at least 0"
            what += "" if key in amounts else f", got {amount:g}"
            problems.append(f"{where}: {' '.join(key)}: {what}")
        amounts[key] = amount
    if problems:
        raise InvalidInputError(problems, source=name)
    return Plan(production=amounts)


def complete_plan(plan: Plan, problem: PlanningProblem) -> Plan:
    """Move and deliver what a plan makes as well as can be; its own shipments are left aside.

    Parameters
    ----------
    plan : Plan
        Its production is kept.
    problem : PlanningProblem

    Raises
    ------
    InvalidInputError
        Names that the problem does not have, or a demand that this production cannot meet.
    """
    check_arguments(plan=(plan, Plan), problem=(problem, PlanningProblem))
    check_names(Plan(production=plan.production), problem)
    questions = period_questions(problem)
    beyond = [
        f"plan, production: {facility!r} makes no {product!r} in period {period!r}"
        for (facility, period, product), amount in plan.production.items()
        if amount > 0 and product not in getattr(questions.get((facility, period)), "products", ())
    ]
    if beyond:
        raise InvalidInputError(beyond)
    model = write_model(problem, questions, {}, with_sums=False)
    for key, variable in model.make.items():
        variable.fix(plan.production.get(key, 0.0))
    result = solve(model)
    if not result.has_solution:
        raise InvalidInputError(
            "plan: no deliveries go with this production: too little is made, or too much for the "
            "storage; verify_plan says which amounts"
        )
    found = extract_plan(model, problem)
    return Plan(production=plan.production, shipments=found.shipments, lost=found.lost)
