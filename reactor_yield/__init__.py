"""A reactor's performance, its alarms, and the targets it gives a scheduler."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reactor_yield.data.check import check_dataset as check_dataset
    from reactor_yield.data.columns import COLUMNS as COLUMNS
    from reactor_yield.data.columns import FEATURES as FEATURES
    from reactor_yield.data.columns import Column as Column
    from reactor_yield.data.columns import column_table as column_table
    from reactor_yield.data.dataset import MODE_1 as MODE_1
    from reactor_yield.data.dataset import MODE_2 as MODE_2
    from reactor_yield.data.dataset import OperatingMode as OperatingMode
    from reactor_yield.data.dataset import generate_dataset as generate_dataset
    from reactor_yield.data.dataset import iterate_dataset as iterate_dataset
    from reactor_yield.data.dataset import write_dataset as write_dataset
    from reactor_yield.data.split import split_dataset as split_dataset
    from reactor_yield.errors import InvalidConditionsError as InvalidConditionsError
    from reactor_yield.errors import InvalidModelFileError as InvalidModelFileError
    from reactor_yield.errors import MissingDependencyError as MissingDependencyError
    from reactor_yield.errors import ReactorYieldError as ReactorYieldError
    from reactor_yield.monitoring.alarm_count import choose_alarm_level as choose_alarm_level
    from reactor_yield.monitoring.alarm_count import count_alarms as count_alarms
    from reactor_yield.monitoring.alarm_count import failure_runaways as failure_runaways
    from reactor_yield.monitoring.alarms import LowYieldAlarms as LowYieldAlarms
    from reactor_yield.monitoring.alarms import low_yield_alarm as low_yield_alarm
    from reactor_yield.monitoring.drift import detect_drift as detect_drift
    from reactor_yield.monitoring.drift_report import DriftReport as DriftReport
    from reactor_yield.monitoring.runaway import CoolantFailure as CoolantFailure
    from reactor_yield.monitoring.runaway import forecast_hot_spot as forecast_hot_spot
    from reactor_yield.monitoring.runaway import realistic_series as realistic_series
    from reactor_yield.monitoring.runaway import sorted_series as sorted_series
    from reactor_yield.monitoring.two_samples import (
        population_stability_index as population_stability_index,
    )
    from reactor_yield.simulation.batch import simulate_batch_reactor as simulate_batch_reactor
    from reactor_yield.simulation.fit import KineticsFit as KineticsFit
    from reactor_yield.simulation.fit import fit_kinetics as fit_kinetics
    from reactor_yield.simulation.kinetics import REFERENCE as REFERENCE
    from reactor_yield.simulation.kinetics import Kinetics as Kinetics
    from reactor_yield.simulation.kinetics import Reaction as Reaction
    from reactor_yield.simulation.stirred import simulate_stirred_tank as simulate_stirred_tank
    from reactor_yield.simulation.tube import simulate_profiles as simulate_profiles
    from reactor_yield.simulation.tube import simulate_reactor as simulate_reactor
    from reactor_yield.simulation.vessel import Vessel as Vessel
    from reactor_yield.targets import Certificate as Certificate
    from reactor_yield.targets import Recipe as Recipe
    from reactor_yield.targets import SafeRegion as SafeRegion
    from reactor_yield.targets import certify_point as certify_point
    from reactor_yield.targets import recipe_from_yield as recipe_from_yield
    from reactor_yield.targets import safe_region as safe_region
    from reactor_yield.targets import simulate_campaigns as simulate_campaigns
    from reactor_yield.yield_model import YieldModel as YieldModel
    from reactor_yield.yield_model import evaluate_yield_model as evaluate_yield_model
    from reactor_yield.yield_model import fit_yield_model as fit_yield_model
    from reactor_yield.yield_model import load_yield_model as load_yield_model
    from reactor_yield.yield_model import permutation_importance as permutation_importance

_HOMES = {
    "data.check": ("check_dataset",),
    "data.columns": (
        "COLUMNS",
        "Column",
        "FEATURES",
        "column_table",
    ),
    "data.dataset": (
        "MODE_1",
        "MODE_2",
        "OperatingMode",
        "generate_dataset",
        "iterate_dataset",
        "write_dataset",
    ),
    "data.split": ("split_dataset",),
    "errors": (
        "InvalidConditionsError",
        "InvalidModelFileError",
        "MissingDependencyError",
        "ReactorYieldError",
    ),
    "monitoring.alarms": (
        "LowYieldAlarms",
        "low_yield_alarm",
    ),
    "monitoring.alarm_count": (
        "choose_alarm_level",
        "count_alarms",
        "failure_runaways",
    ),
    "monitoring.drift": ("detect_drift",),
    "monitoring.drift_report": ("DriftReport",),
    "monitoring.runaway": (
        "CoolantFailure",
        "forecast_hot_spot",
        "realistic_series",
        "sorted_series",
    ),
    "monitoring.two_samples": ("population_stability_index",),
    "simulation.batch": ("simulate_batch_reactor",),
    "simulation.fit": (
        "KineticsFit",
        "fit_kinetics",
    ),
    "simulation.kinetics": (
        "Kinetics",
        "REFERENCE",
        "Reaction",
    ),
    "simulation.stirred": ("simulate_stirred_tank",),
    "simulation.tube": (
        "simulate_profiles",
        "simulate_reactor",
    ),
    "simulation.vessel": ("Vessel",),
    "targets": (
        "Certificate",
        "Recipe",
        "SafeRegion",
        "certify_point",
        "recipe_from_yield",
        "safe_region",
        "simulate_campaigns",
    ),
    "yield_model": (
        "YieldModel",
        "evaluate_yield_model",
        "fit_yield_model",
        "load_yield_model",
        "permutation_importance",
    ),
}
"""Where each public name is defined: it is imported when it is first asked for."""
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    value = getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})
