"""What is asked of a plant: by a problem file, and what options say otherwise."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any, get_args

from stnopt.cli.arguments import is_file, not_empty, read_numbers
from stnopt.cli.messages import warn
from stnopt.plant.problem import ObjectiveKind, Problem, Sense
from stnopt.plant.read import read_problem, read_state
from stnopt.plant.state import PlantState

if TYPE_CHECKING:
    import argparse


def add_problem(command: argparse.ArgumentParser) -> None:
    """Add the options that say what is asked."""
    command.add_argument(
        "--problem", type=not_empty, help="problem file; default: the plant file's own section"
    )
    command.add_argument("--horizon", type=float, help="in the plant's time unit")
    command.add_argument("--objective", choices=get_args(ObjectiveKind))
    command.add_argument(
        "--demand", nargs="+", metavar="STATE=AMOUNT", help="amounts that the schedule ends with"
    )
    command.add_argument("--sense", choices=get_args(Sense), help="of the demand")


def choose_problem(options: argparse.Namespace) -> Problem:
    """Take the problem of a file, and what the options say otherwise."""
    problem = Problem()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", DeprecationWarning)
        if options.problem:
            problem = read_problem(options.problem)
        elif is_file(options.plant):
            problem = read_problem(options.plant, default=problem)
    for warning in told:
        warn(str(warning.message))
    changes: dict[str, Any] = {
        key: getattr(options, key)
        for key in ("objective", "horizon", "sense")
        if getattr(options, key) is not None
    }
    if options.demand is not None:
        demand = read_numbers(options.demand, "--demand", "STATE=AMOUNT")
        changes["targets"] = {state: amount for state, (amount,) in demand.items()}
    return replace(problem, **changes)


def read_start(plant: str) -> PlantState | None:
    """Read the plant at time 0 from its file; None if nothing is said about it."""
    start = read_state(plant, default=PlantState()) if is_file(plant) else PlantState()
    return None if start == PlantState() else start
