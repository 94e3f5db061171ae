"""Every argument of every public callable of `reactor_yield`, against values that do not fit."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from wrong_values import Call, faults_of, parameters_of, public_callables

import reactor_yield as ry
from reactor_yield.data.columns import FEATURES

#: Public classes that the package makes and its callers read: their methods are tried all the same.
RESULTS = {
    "Certificate", "DriftReport", "KineticsFit", "LowYieldAlarms", "Recipe", "SafeRegion",
    "YieldModel",
}  # fmt: skip

DATA = ry.generate_dataset(60, seed=0).dropna(subset=["Yc"])
CONDITIONS = DATA[list(FEATURES)].head(3)
ONE = {c: float(CONDITIONS[c].iloc[0]) for c in ("Fao", "Fbo", "P", "To", "m", "Ta")}
MODEL = ry.fit_yield_model(DATA, model="ridge")
SERIES = ry.realistic_series(1, seed=0)
BATCH = ry.Kinetics(
    heat_capacities={"A": 20.0, "B": 20.0},
    reactions=(
        ry.Reaction(
            name="A -> B", rate_constant=0.1, reference_temperature=300.0, activation_energy=8000.0,
            orders={"A": 1}, stoichiometry={"A": -1, "B": 1}, heat=-5000.0,
        ),
    ),
    feeds=("A",), key_reactant="A", product="B", volume=10.0, heat_transfer=10.0,
    coolant_heat_capacity=18.0, critical_temperature=500.0,
)  # fmt: skip


def hot(table):
    return 600 + table["To"].to_numpy() / 10


def one_value(table):
    return np.full(len(table), 0.5)


BATCH_RECIPE = {"Na": 2.0, "V": 1.0, "To": 330.0, "time": 2.0}


def run_batches(table, kinetics):
    """Of a first order at constant temperature: any function of table and kinetics will do."""
    (reaction,) = kinetics.reactions
    inverse = 1 / table["To"] - 1 / reaction.reference_temperature
    rate = reaction.rate_constant * np.exp(-reaction.activation_energy * inverse)
    left = table["Na"] * np.exp(-rate * table["time"])
    return pd.DataFrame({"Na_out": left, "Nb_out": table["Na"] - left})


def measured():
    table = pd.DataFrame([BATCH_RECIPE, BATCH_RECIPE | {"To": 340.0}, BATCH_RECIPE | {"time": 4.0}])
    noise = np.array([[0.1, 0], [-0.1, 0.1], [0, -0.1]])
    seen = run_batches(table, BATCH)[["Na_out", "Nb_out"]] + noise
    return table.join(seen)


#: What fits an argument of this name, wherever a signature has it.
FITS = {
    "data": DATA, "conditions": CONDITIONS, "model": MODEL, "kinetics": ry.REFERENCE, "seed": 0,
    "coverage": 0.9, "n_samples": 20, "series": SERIES, "alarm": SERIES["T_max"] > 700,
    "score": SERIES["T_max"], "name": "n", "points": CONDITIONS, "confidence": 0.9, "share": 0.5,
    "n_draws": 200, "limit": 700.0, "disturbances": ry.MODE_1, "simulate": hot, "vessel": None,
    "progress": False, "n_days": 1, "n_batches": 2, "max_batch": 10.0, "path": "out.file",
}  # fmt: skip
FIT = ry.fit_kinetics(measured(), BATCH, run_batches, measured={"Na_out": 0.1, "Nb_out": 0.1})
RECIPE = ry.recipe_from_yield(
    MODEL, dict(CONDITIONS.iloc[0]), max_batch=10.0, fixed_time=1.0, n_draws=100
)
SAFE = ry.safe_region(
    hot, {"To": (300.0, 500.0)}, None, limit=640.0, share=0.5, confidence=0.5, n_draws=50,
    n_samples=32,
)[0]  # fmt: skip
DRIFT = ry.detect_drift(DATA, DATA)
VALUES_OF_REACTION = {
    "rate_constant": 0.1, "reference_temperature": 300.0, "activation_energy": 8000.0,
    "orders": {"A": 1}, "stoichiometry": {"A": -1, "B": 1}, "heat": -5000.0,
    "equilibrium_constant": None,
}  # fmt: skip

#: Per callable, what differs; `self` is the noun that a method is tried on.
SPECIAL = {
    "Column": {"unit": "K", "low": 0.0, "high": 1.0, "meaning": "m", "role": "condition"},
    "DriftReport.drifted_columns": {"self": DRIFT},
    "DriftReport.to_json": {"self": DRIFT},
    "Kinetics": {
        "heat_capacities": BATCH.heat_capacities, "reactions": BATCH.reactions, "feeds": ("A",),
        "key_reactant": "A", "product": "B", "volume": 1.0, "heat_transfer": 0.0,
        "coolant_heat_capacity": 1.0, "critical_temperature": 900.0,
    },
    "KineticsFit.contains": {"self": FIT, "kinetics": BATCH},
    "KineticsFit.to_frame": {"self": FIT},
    "OperatingMode": {"mean": {"Fao": 1.0}, "fraction": {"Fao": 0.1}},
    "Reaction": {**VALUES_OF_REACTION, "adsorption": {}},
    "Recipe.chance": {"self": RECIPE, "totals": np.ones(3)},
    "SafeRegion.contains": {"self": SAFE},
    "SafeRegion.decision": {"self": SAFE},
    "YieldModel.expect": {"self": MODEL},
    "YieldModel.interval": {"self": MODEL},
    "YieldModel.out_of_range": {"self": MODEL},
    "YieldModel.predict": {"self": MODEL},
    "YieldModel.predict_interval": {"self": MODEL},
    "YieldModel.recalibrate": {"self": MODEL},
    "YieldModel.save": {"self": MODEL, "path": "m.zip"},
    "YieldModel.split_error": {"self": MODEL, "n_batches": 3},
    "certify_point": {"conditions": {"To": 300.0}, "disturbances": {"To": 1.0}},
    "count_alarms": {"name": "n"},
    "detect_drift": {"reference": DATA, "current": DATA, "model": None},
    "fit_kinetics": {
        "data": measured(), "kinetics": BATCH, "simulate": run_batches,
        "measured": {"Na_out": 0.1, "Nb_out": 0.1},
    },
    "fit_yield_model": {"model": "ridge"},
    "forecast_hot_spot": {"history": SERIES, "recent": SERIES.head(60)},
    "iterate_dataset": {"block": 10},
    "load_yield_model": {"path": "model.zip"},
    "population_stability_index": {"reference": np.arange(9.0), "current": np.arange(5.0)},
    "recipe_from_yield": {
        "conditions": dict(CONDITIONS.iloc[0]), "disturbances": None, "fixed_time": 1.0,
    },
    "safe_region": {
        "conditions": {"To": (300.0, 500.0)}, "disturbances": None, "limit": 640.0,
        "confidence": 0.5, "n_draws": 50, "n_samples": 32,
    },
    "simulate_batch_reactor": {"recipes": BATCH_RECIPE, "kinetics": BATCH},
    "simulate_campaigns": {
        "make": one_value, "conditions": dict(CONDITIONS.iloc[0]), "n_campaigns": 5,
    },
    "simulate_profiles": {"conditions": ONE, "n_positions": 5},
    "simulate_reactor": {"conditions": ONE, "n_positions": 5},
    "simulate_stirred_tank": {
        "conditions": {"Fao": 1.0, "V": 10.0, "To": 330.0, "vo": 1.0}, "kinetics": BATCH,
        "vessel": ry.Vessel(thermal="adiabatic"),
    },
    "write_dataset": {"options": {}, "n_samples": 5},
}  # fmt: skip

#: What is taken though an annotation does not say so: per callable and argument, labels and why.
FILE_NAME = {"two lines": "a file may be called so"}
REMARK = dict.fromkeys(("empty text", "two lines", "zero byte"), "words that are only printed")
LEGAL: dict[str, dict[str, dict[str, str]]] = {
    "Column": {
        "unit": REMARK, "meaning": REMARK, "low": {"-inf": "no limit"}, "high": {"inf": "no limit"},
    },
    "DriftReport.to_json": {"path": FILE_NAME},
    "YieldModel.save": {"path": FILE_NAME},
    "check_dataset": {"required": {"[]": "none", "()": "none"}},
    "count_alarms": {"runaways": {"[]": "none happened", "()": "none happened"}},
    "write_dataset": {"path": FILE_NAME},
}  # fmt: skip
#: Where errors call an argument by other words.
NAMED: dict[str, dict[str, str]] = {}

CALLABLES = dict(public_callables(ry, ry._MODULE_OF))
TRIED = sorted(set(CALLABLES) - RESULTS)


def given(name: str) -> dict:
    """Arguments that fit a signature: those named above, those that fit anywhere, its defaults."""
    special, found = SPECIAL.get(name, {}), {}
    for argument, parameter in parameters_of(CALLABLES[name]).items():
        if argument in special:
            found[argument] = special[argument]
        elif argument in FITS:
            found[argument] = FITS[argument]
        elif parameter.default is not inspect.Parameter.empty:
            found[argument] = parameter.default
        else:
            raise LookupError(f"{name}: say in SPECIAL what fits its argument {argument!r}")
    return found


def call_of(name: str) -> Call:
    function, fitting = CALLABLES[name], given(name)
    if name == "write_dataset":  # its options are those of `iterate_dataset`
        del fitting["options"]
    return Call(function, fitting, LEGAL.get(name, {}), NAMED.get(name, {}))


@pytest.fixture(autouse=True)
def _own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    MODEL.save(Path("model.zip"))


def test_the_tables_name_nothing_else():
    for table in (SPECIAL, LEGAL, NAMED):
        assert set(table) <= set(TRIED)
        for name, arguments in table.items():
            assert set(arguments) <= {"self", *parameters_of(CALLABLES[name])}, name
    assert set(CALLABLES) >= RESULTS


@pytest.mark.parametrize("name", TRIED)
def test_what_does_not_fit_is_refused_by_name(name):
    call = call_of(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of names that are kept for a while
        call.function(**call.fitting)
    faults, n_calls = faults_of(call, ry.ReactorYieldError)
    assert not faults, f"{len(faults)} of {n_calls} calls:\n" + "\n".join(faults)
