"""Schedules, certified feasible regions and learned constraints for batch plants (STN).

Every name is loaded from its module when it is first used, so that `import stnopt` costs little.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stnopt.embedding.branch_and_bound import solve_over_region as solve_over_region
    from stnopt.embedding.constraint import RegionBlock as RegionBlock
    from stnopt.embedding.constraint import add_region_constraint as add_region_constraint
    from stnopt.embedding.reduction import ReductionReport as ReductionReport
    from stnopt.embedding.reduction import reduce_region as reduce_region
    from stnopt.errors import InvalidInputError as InvalidInputError
    from stnopt.errors import InvalidNetworkError as InvalidNetworkError
    from stnopt.errors import InvalidScheduleError as InvalidScheduleError
    from stnopt.errors import SolverUnavailableError as SolverUnavailableError
    from stnopt.errors import StnoptError as StnoptError
    from stnopt.errors import UnsupportedModelError as UnsupportedModelError
    from stnopt.errors import UntrainableError as UntrainableError
    from stnopt.feasibility.active import sample_boundary as sample_boundary
    from stnopt.feasibility.certified_region import CertifiedRegion as CertifiedRegion
    from stnopt.feasibility.certified_region import trace_frontier as trace_frontier
    from stnopt.feasibility.classifier import FitReport as FitReport
    from stnopt.feasibility.classifier import FittedRegion as FittedRegion
    from stnopt.feasibility.classifier import class_region_from_sklearn as class_region_from_sklearn
    from stnopt.feasibility.classifier import duels_from_sklearn as duels_from_sklearn
    from stnopt.feasibility.classifier import fit_region as fit_region
    from stnopt.feasibility.classifier import one_vs_one_from_sklearn as one_vs_one_from_sklearn
    from stnopt.feasibility.classifier import region_from_sklearn as region_from_sklearn
    from stnopt.feasibility.labelling import label_targets as label_targets
    from stnopt.feasibility.one_vs_one import UnionRegion as UnionRegion
    from stnopt.feasibility.region import KernelRegion as KernelRegion
    from stnopt.feasibility.region import LinearRegion as LinearRegion
    from stnopt.feasibility.region import load_region as load_region
    from stnopt.feasibility.samples import RegionScore as RegionScore
    from stnopt.feasibility.samples import TargetSamples as TargetSamples
    from stnopt.feasibility.samples import sample_targets as sample_targets
    from stnopt.feasibility.samples import score_region as score_region
    from stnopt.page.html import schedule_to_html as schedule_to_html
    from stnopt.planning.complete import complete_plan as complete_plan
    from stnopt.planning.complete import read_production as read_production
    from stnopt.planning.facility import Facility as Facility
    from stnopt.planning.find_plan import find_plan as find_plan
    from stnopt.planning.model import build_planning_model as build_planning_model
    from stnopt.planning.model import extract_plan as extract_plan
    from stnopt.planning.plan import Plan as Plan
    from stnopt.planning.plan import PlanSearch as PlanSearch
    from stnopt.planning.plan import Verification as Verification
    from stnopt.planning.plan_table import read_plan as read_plan
    from stnopt.planning.problem import Demand as Demand
    from stnopt.planning.problem import Lane as Lane
    from stnopt.planning.problem import PlanningProblem as PlanningProblem
    from stnopt.planning.read_planning import read_planning_problem as read_planning_problem
    from stnopt.planning.roll import problem_after as problem_after
    from stnopt.planning.scenarios import Scenario as Scenario
    from stnopt.planning.scenarios import ScenarioSearch as ScenarioSearch
    from stnopt.planning.scenarios import plan_scenarios as plan_scenarios
    from stnopt.planning.trace import trace_regions as trace_regions
    from stnopt.planning.verify import verify_plan as verify_plan
    from stnopt.planning.why_not import PlanShortfall as PlanShortfall
    from stnopt.planning.why_not import explain_plan as explain_plan
    from stnopt.plant.network import Network as Network
    from stnopt.plant.orders import Order as Order
    from stnopt.plant.orders import ServedOrder as ServedOrder
    from stnopt.plant.problem import Delivery as Delivery
    from stnopt.plant.problem import Problem as Problem
    from stnopt.plant.read import load_example as load_example
    from stnopt.plant.read import read_network as read_network
    from stnopt.plant.read import read_problem as read_problem
    from stnopt.plant.read import read_state as read_state
    from stnopt.plant.recipe import State as State
    from stnopt.plant.recipe import Suitability as Suitability
    from stnopt.plant.recipe import Task as Task
    from stnopt.plant.rules import Unit as Unit
    from stnopt.plant.rules import Utility as Utility
    from stnopt.plant.source import list_examples as list_examples
    from stnopt.plant.state import LastTask as LastTask
    from stnopt.plant.state import PlantState as PlantState
    from stnopt.plant.state import RunningBatch as RunningBatch
    from stnopt.plant.tables.write import write_tables as write_tables
    from stnopt.plant.unit_rules.clean_after import CleanAfter as CleanAfter
    from stnopt.plot import plot_frontier as plot_frontier
    from stnopt.plot import plot_gantt as plot_gantt
    from stnopt.plot import plot_network as plot_network
    from stnopt.plot import plot_plan as plot_plan
    from stnopt.plot import plot_region as plot_region
    from stnopt.plot import plot_samples as plot_samples
    from stnopt.plot import plot_stock as plot_stock
    from stnopt.plot import plot_utility as plot_utility
    from stnopt.scheduling.cut import from_time as from_time
    from stnopt.scheduling.cut import rest_of as rest_of
    from stnopt.scheduling.cut import state_at as state_at
    from stnopt.scheduling.diagnosis.explain import explain_infeasible as explain_infeasible
    from stnopt.scheduling.diagnosis.shortfall import Shortfall as Shortfall
    from stnopt.scheduling.model import build_scheduling_model as build_scheduling_model
    from stnopt.scheduling.model import extract_schedule as extract_schedule
    from stnopt.scheduling.model import require_deliveries as require_deliveries
    from stnopt.scheduling.model import require_orders as require_orders
    from stnopt.scheduling.model import require_targets as require_targets
    from stnopt.scheduling.model import require_value as require_value
    from stnopt.scheduling.model import set_objective as set_objective
    from stnopt.scheduling.replay import Violation as Violation
    from stnopt.scheduling.replay import find_violations as find_violations
    from stnopt.scheduling.replay import replay_stock as replay_stock
    from stnopt.scheduling.replay import replay_utility as replay_utility
    from stnopt.scheduling.schedule import Batch as Batch
    from stnopt.scheduling.schedule import Schedule as Schedule
    from stnopt.scheduling.schedule import schedule_value as schedule_value
    from stnopt.scheduling.schedule_file import read_schedule as read_schedule
    from stnopt.scheduling.search.changes import Down as Down
    from stnopt.scheduling.search.changes import Late as Late
    from stnopt.scheduling.search.changes import Lost as Lost
    from stnopt.scheduling.search.changes import NewOrder as NewOrder
    from stnopt.scheduling.search.find_schedule import find_schedule as find_schedule
    from stnopt.scheduling.search.improve import improve_schedule as improve_schedule
    from stnopt.scheduling.search.progress import SearchProgress as SearchProgress
    from stnopt.scheduling.search.reschedule import Rescheduling as Rescheduling
    from stnopt.scheduling.search.reschedule import reschedule as reschedule
    from stnopt.scheduling.search.result import Attempt as Attempt
    from stnopt.scheduling.search.result import Proof as Proof
    from stnopt.scheduling.search.result import ScheduleSearch as ScheduleSearch
    from stnopt.solvers.solve import SolveResult as SolveResult
    from stnopt.solvers.solve import Status as Status
    from stnopt.solvers.solve import solve as solve

#: Where each public name lives.
_MODULES = {
    "Attempt": "stnopt.scheduling.search.result",
    "Batch": "stnopt.scheduling.schedule",
    "CertifiedRegion": "stnopt.feasibility.certified_region",
    "CleanAfter": "stnopt.plant.unit_rules.clean_after",
    "Delivery": "stnopt.plant.problem",
    "FitReport": "stnopt.feasibility.classifier",
    "FittedRegion": "stnopt.feasibility.classifier",
    "InvalidInputError": "stnopt.errors",
    "InvalidNetworkError": "stnopt.errors",
    "InvalidScheduleError": "stnopt.errors",
    "KernelRegion": "stnopt.feasibility.region",
    "LastTask": "stnopt.plant.state",
    "LinearRegion": "stnopt.feasibility.region",
    "Network": "stnopt.plant.network",
    "Order": "stnopt.plant.orders",
    "PlantState": "stnopt.plant.state",
    "Problem": "stnopt.plant.problem",
    "Proof": "stnopt.scheduling.search.result",
    "ReductionReport": "stnopt.embedding.reduction",
    "RegionBlock": "stnopt.embedding.constraint",
    "RegionScore": "stnopt.feasibility.samples",
    "RunningBatch": "stnopt.plant.state",
    "Schedule": "stnopt.scheduling.schedule",
    "ScheduleSearch": "stnopt.scheduling.search.result",
    "SearchProgress": "stnopt.scheduling.search.progress",
    "ServedOrder": "stnopt.plant.orders",
    "Shortfall": "stnopt.scheduling.diagnosis.shortfall",
    "SolveResult": "stnopt.solvers.solve",
    "SolverUnavailableError": "stnopt.errors",
    "State": "stnopt.plant.recipe",
    "Status": "stnopt.solvers.solve",
    "StnoptError": "stnopt.errors",
    "Suitability": "stnopt.plant.recipe",
    "TargetSamples": "stnopt.feasibility.samples",
    "Task": "stnopt.plant.recipe",
    "UnionRegion": "stnopt.feasibility.one_vs_one",
    "Unit": "stnopt.plant.rules",
    "UnsupportedModelError": "stnopt.errors",
    "UntrainableError": "stnopt.errors",
    "Utility": "stnopt.plant.rules",
    "Violation": "stnopt.scheduling.replay",
    "add_region_constraint": "stnopt.embedding.constraint",
    "build_scheduling_model": "stnopt.scheduling.model",
    "class_region_from_sklearn": "stnopt.feasibility.classifier",
    "duels_from_sklearn": "stnopt.feasibility.classifier",
    "explain_infeasible": "stnopt.scheduling.diagnosis.explain",
    "extract_schedule": "stnopt.scheduling.model",
    "improve_schedule": "stnopt.scheduling.search.improve",
    "from_time": "stnopt.scheduling.cut",
    "rest_of": "stnopt.scheduling.cut",
    "state_at": "stnopt.scheduling.cut",
    "require_orders": "stnopt.scheduling.model",
    "Down": "stnopt.scheduling.search.changes",
    "Late": "stnopt.scheduling.search.changes",
    "Lost": "stnopt.scheduling.search.changes",
    "NewOrder": "stnopt.scheduling.search.changes",
    "Rescheduling": "stnopt.scheduling.search.reschedule",
    "reschedule": "stnopt.scheduling.search.reschedule",
    "find_schedule": "stnopt.scheduling.search.find_schedule",
    "find_violations": "stnopt.scheduling.replay",
    "fit_region": "stnopt.feasibility.classifier",
    "label_targets": "stnopt.feasibility.labelling",
    "list_examples": "stnopt.plant.source",
    "load_example": "stnopt.plant.read",
    "load_region": "stnopt.feasibility.region",
    "one_vs_one_from_sklearn": "stnopt.feasibility.classifier",
    "plot_frontier": "stnopt.plot",
    "plot_gantt": "stnopt.plot",
    "plot_network": "stnopt.plot",
    "plot_region": "stnopt.plot",
    "plot_samples": "stnopt.plot",
    "plot_stock": "stnopt.plot",
    "plot_utility": "stnopt.plot",
    "read_schedule": "stnopt.scheduling.schedule_file",
    "read_network": "stnopt.plant.read",
    "read_problem": "stnopt.plant.read",
    "read_state": "stnopt.plant.read",
    "reduce_region": "stnopt.embedding.reduction",
    "region_from_sklearn": "stnopt.feasibility.classifier",
    "replay_stock": "stnopt.scheduling.replay",
    "replay_utility": "stnopt.scheduling.replay",
    "require_deliveries": "stnopt.scheduling.model",
    "require_targets": "stnopt.scheduling.model",
    "require_value": "stnopt.scheduling.model",
    "sample_boundary": "stnopt.feasibility.active",
    "sample_targets": "stnopt.feasibility.samples",
    "schedule_value": "stnopt.scheduling.schedule",
    "score_region": "stnopt.feasibility.samples",
    "set_objective": "stnopt.scheduling.model",
    "solve": "stnopt.solvers.solve",
    "solve_over_region": "stnopt.embedding.branch_and_bound",
    "schedule_to_html": "stnopt.page.html",
    "write_tables": "stnopt.plant.tables.write",
    "trace_frontier": "stnopt.feasibility.certified_region",
    "Demand": "stnopt.planning.problem",
    "Facility": "stnopt.planning.facility",
    "Lane": "stnopt.planning.problem",
    "PlanningProblem": "stnopt.planning.problem",
    "Plan": "stnopt.planning.plan",
    "PlanSearch": "stnopt.planning.plan",
    "Verification": "stnopt.planning.plan",
    "PlanShortfall": "stnopt.planning.why_not",
    "build_planning_model": "stnopt.planning.model",
    "extract_plan": "stnopt.planning.model",
    "complete_plan": "stnopt.planning.complete",
    "read_plan": "stnopt.planning.plan_table",
    "read_production": "stnopt.planning.complete",
    "explain_plan": "stnopt.planning.why_not",
    "find_plan": "stnopt.planning.find_plan",
    "read_planning_problem": "stnopt.planning.read_planning",
    "trace_regions": "stnopt.planning.trace",
    "verify_plan": "stnopt.planning.verify",
    "plot_plan": "stnopt.plot",
    "Scenario": "stnopt.planning.scenarios",
    "ScenarioSearch": "stnopt.planning.scenarios",
    "plan_scenarios": "stnopt.planning.scenarios",
    "problem_after": "stnopt.planning.roll",
}

__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *_MODULES})
