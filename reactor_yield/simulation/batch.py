"""Batch and semi-batch reactors, liquid or gas, for many recipes at once.

With amounts N_i (mol), volume V (dm3) and feeds F_i (mol/min) during the feed time (Fogler,
Essentials of Chemical Reaction Engineering, sections 6.6 and 13.2 to 13.4):

    dN_i/dt = F_i + V sum_j nu_ij r_j,        dV/dt = v (liquid), V constant (gas)
    dT/dt   = (V sum_j (-dH_j) r_j - UA (T - Ta) + sum_i F_i Cp_i (Tf - T)) / (sum_i N_i Cp_i + C)

In a closed gas volume the internal energy counts: Cp_i - R in place of Cp_i, dH_j - R T dn_j in
place of dH_j.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reactor_yield.arguments import CONDITIONS, POSITIVE, check_arguments, optional
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.simulation.kinetics import Kinetics
from reactor_yield.simulation.rates import Rates
from reactor_yield.simulation.stiff import integrate_any
from reactor_yield.simulation.vessel import Vessel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reactor_yield.simulation.integrator import Integration

Array = NDArray[np.float64]


def simulate_batch_reactor(
    recipes: pd.DataFrame | Mapping[str, float],
    kinetics: Kinetics,
    vessel: Vessel | None = None,
    *,
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> pd.DataFrame:
    """Amounts, temperature, conversion, yield, energy and time of each batch.

    Parameters
    ----------
    recipes : (n, ...) DataFrame, or a mapping for a single batch
        Columns, of species `A`: `Na` (mol charged; 0 where left out), `V` (dm3 charged, or of the
        vessel for gas), `To` (K), `time` (min), and `Ta` (K, of the jacket) if there is a jacket.
        A semi-batch has `Fa` (mol/min fed), `vo` (dm3/min, liquid), `Tf` (K, by default `To`) and
        `feed_time` (min, by default `time`).
    kinetics
        Its reactions, heat capacities and critical temperature; the tube's volume, heat transfer
        and coolant play no part.
    vessel
        By default an adiabatic liquid one without turnaround.
    rtol, atol
        Relative and absolute error per step.

    Returns
    -------
    DataFrame, indexed like `recipes`
        `Na_out`, ... (mol), `V_out` (dm3), `T_out`, `T_max` (K, of the continuous solution),
        `t_max` (min, when it was), for gas `P_out` (atm), the key reactant's conversion (`Xa`) and
        the product's yield (`Yc`, made per key reactant spent), `cooling` and `heating` (cal taken
        out and put in by the jacket), `batch_time` (min, turnaround included), `status` (`ok`,
        `runaway`, `no_reaction`, `invalid`, `failed`) and `reason`.

    Raises
    ------
    InvalidConditionsError
        When columns are missing; a bad row does not raise, it is marked.
    """
    check_arguments(
        recipes=(recipes, CONDITIONS),
        kinetics=(kinetics, Kinetics),
        vessel=(vessel, optional(Vessel)),
        rtol=(rtol, POSITIVE),
        atol=(atol, POSITIVE),
    )
    vessel = vessel or Vessel(thermal="adiabatic")
    table = recipes if isinstance(recipes, pd.DataFrame) else pd.DataFrame([dict(recipes)])
    inputs = _read_recipes(table, kinetics, vessel)
    reasons = _find_invalid(inputs, kinetics)
    valid = np.array([not reason for reason in reasons], dtype=bool)
    good = {name: values[valid] for name, values in inputs.items()}
    initial, parameters = _initial_values(good, kinetics, vessel)
    # Time runs from 0 to 1 twice, for every batch: while it is fed, and after.
    fed = integrate_any(
        _Balances(kinetics, vessel, feeding=True),
        initial,
        parameters,
        length=1.0,
        watch=len(kinetics.species) + 1,
        rtol=rtol,
        atol=atol,
    )
    after = integrate_any(
        _Balances(kinetics, vessel, feeding=False),
        np.where(fed.failed, initial, fed.final),
        parameters,
        length=1.0,
        watch=len(kinetics.species) + 1,
        rtol=rtol,
        atol=atol,
    )
    return _results(table.index, good, valid, reasons, initial, fed, after, kinetics, vessel)


class _Balances:
    """Right-hand side for states (N_1.., V, T, heat out, heat in) and row constants.

    The constants are the span of time, Ta, Tf, v and the feeds. Rows whose span is 0 stand still.
    """

    def __init__(self, kinetics: Kinetics, vessel: Vessel, *, feeding: bool) -> None:
        species = kinetics.species
        self.n = len(species)
        self.feeding = feeding
        self.gas = vessel.phase == "gas"
        self.thermal = vessel.thermal
        self.exchange = vessel.heat_transfer if vessel.thermal == "jacket" else 0.0
        self.inert = vessel.inert_heat_capacity
        self.gas_constant = kinetics.gas_constant
        self.heat_capacities = np.array([kinetics.heat_capacities[s] for s in species])
        self.stoichiometry = kinetics.stoichiometric_matrix()
        self.released = np.array([-r.heat for r in kinetics.reactions])
        self.growth = self.stoichiometry.sum(axis=0)
        self.rates = Rates(kinetics)

    def __call__(self, y: Array, parameters: Array) -> Array:
        amounts, volume, temperature = y[: self.n], y[self.n], y[self.n + 1]
        span = parameters[0] if self.feeding else parameters[1]
        jacket, feed_temperature, flow = parameters[2], parameters[3], parameters[4]
        feeds = parameters[5:] if self.feeding else np.zeros((self.n, y.shape[1]))
        rates = self.rates(amounts / volume, temperature) * volume
        slopes = np.empty_like(y)
        slopes[: self.n] = feeds + self.stoichiometry @ rates
        slopes[self.n] = flow if self.feeding and not self.gas else 0.0
        stored = self.heat_capacities @ amounts + self.inert
        heat = self.released @ rates
        heat = heat + (self.heat_capacities @ feeds) * (feed_temperature - temperature)
        if self.gas:
            # Fed gas does flow work: its enthalpy enters, internal energy is what is stored.
            stored = stored - self.gas_constant * amounts.sum(axis=0)
            grown = self.growth @ rates + feeds.sum(axis=0)
            heat = heat + self.gas_constant * temperature * grown
        exchanged = self.exchange * (temperature - jacket)
        if self.thermal == "isothermal":
            exchanged = heat
        slopes[self.n + 1] = (heat - exchanged) / stored
        if self.thermal == "isothermal":
            slopes[self.n + 1] = 0.0
        slopes[self.n + 2] = np.maximum(exchanged, 0.0)
        slopes[self.n + 3] = np.maximum(-exchanged, 0.0)
        return np.asarray(slopes * span)


def _read_recipes(table: pd.DataFrame, kinetics: Kinetics, vessel: Vessel) -> dict[str, Array]:
    """Columns as float arrays, with what may be left out filled in."""
    needed = ["V", "To", "time", *(["Ta"] if vessel.thermal == "jacket" else [])]
    missing = [c for c in needed if c not in table.columns]
    charged = [f"N{s.lower()}" for s in kinetics.species]
    if not any(c in table.columns for c in charged):
        missing.append(f"one of {charged}")
    if missing:
        message = f"recipes lack the columns {missing}; found {list(table.columns)}"
        raise InvalidConditionsError(message)

    def read(name: str, default: Array | float) -> Array:
        if name not in table.columns:
            return np.broadcast_to(np.asarray(default, dtype=float), len(table)).copy()
        numbers = pd.to_numeric(table[name], errors="coerce")
        return np.asarray(numbers.to_numpy(dtype=float, na_value=np.nan))

    inputs = {c: read(c, 0.0) for c in charged}
    inputs |= {c: read(c, 0.0) for c in ("V", "To", "time")}
    inputs["Ta"] = read("Ta", inputs["To"])
    feeds = {f"F{s.lower()}": read(f"F{s.lower()}", 0.0) for s in kinetics.species}
    is_fed = any((values != 0).any() for values in feeds.values()) or "vo" in table.columns
    inputs |= feeds
    inputs["vo"] = read("vo", 0.0)
    inputs["Tf"] = read("Tf", inputs["To"])
    inputs["feed_time"] = read("feed_time", inputs["time"] if is_fed else 0.0)
    return inputs


def _find_invalid(inputs: Mapping[str, Array], kinetics: Kinetics) -> list[str]:
    """Why each row cannot be simulated; empty where it can."""
    n_rows = len(inputs["V"])
    reasons: list[list[str]] = [[] for _ in range(n_rows)]
    above = {"V", "To", "time", "Ta", "Tf"}
    for column, values in inputs.items():
        bad = ~np.isfinite(values) | (values <= 0 if column in above else values < 0)
        rule = "must be above 0" if column in above else "must not be negative"
        for row in np.flatnonzero(bad):
            value = values[row]
            said = f"is {value:g}, {rule}" if np.isfinite(value) else "is not a finite number"
            reasons[row].append(f"{column} {said}")
    key = kinetics.key_reactant.lower()
    none = (inputs[f"N{key}"] == 0) & (inputs[f"F{key}"] == 0)
    charge = np.sum([inputs[f"N{s.lower()}"] for s in kinetics.species], axis=0)
    for number in range(n_rows):
        if none[number]:
            reasons[number].append(f"no {kinetics.key_reactant} is charged or fed")
        if not charge[number] > 0:
            reasons[number].append("nothing is charged")
        if inputs["feed_time"][number] > inputs["time"][number]:
            reasons[number].append("feed_time is longer than time")
    return ["; ".join(parts) for parts in reasons]


def _initial_values(
    inputs: Mapping[str, Array], kinetics: Kinetics, vessel: Vessel
) -> tuple[Array, Array]:
    """State at the start, (n_species + 4, n), and each row's constants, (n_species + 5, n)."""
    n_rows = len(inputs["V"])
    names = [s.lower() for s in kinetics.species]
    charged = [inputs[f"N{s}"] for s in names]
    start = inputs["To"]
    initial = np.vstack([*charged, inputs["V"], start, np.zeros((2, n_rows))])
    feeds = [inputs[f"F{s}"] for s in names]
    spans = [inputs["feed_time"], inputs["time"] - inputs["feed_time"]]
    flow = inputs["vo"] if vessel.phase == "liquid" else np.zeros(n_rows)
    return initial, np.vstack([*spans, inputs["Ta"], inputs["Tf"], flow, *feeds])


def _results(
    index: pd.Index,
    inputs: Mapping[str, Array],
    valid: NDArray[np.bool_],
    reasons: list[str],
    initial: Array,
    fed: Integration,
    after: Integration,
    kinetics: Kinetics,
    vessel: Vessel,
) -> pd.DataFrame:
    """One row of results per batch."""
    n = len(kinetics.species)
    failed = fed.failed | after.failed
    final = np.where(failed, np.nan, after.final)
    later = after.peak > fed.peak
    hottest = np.where(fed.failed, fed.peak, np.maximum(fed.peak, after.peak))
    when = np.where(
        later & ~fed.failed,
        inputs["feed_time"] + after.peak_position * (inputs["time"] - inputs["feed_time"]),
        fed.peak_position * inputs["feed_time"],
    )
    key = kinetics.species.index(kinetics.key_reactant)
    product = kinetics.species.index(kinetics.product)
    given = initial[:n] + inputs["feed_time"] * np.array(
        [inputs[f"F{s.lower()}"] for s in kinetics.species]
    )
    spent = given[key] - final[key]
    reacted = spent > 1e-9 * given[key]
    found = {f"N{s.lower()}_out": final[i] for i, s in enumerate(kinetics.species)}
    found |= {"V_out": final[n], "T_out": final[n + 1], "T_max": hottest, "t_max": when}
    if vessel.phase == "gas":
        found["P_out"] = final[:n].sum(axis=0) * kinetics.gas_law_constant * final[n + 1] / final[n]
    found[kinetics.conversion_column] = spent / given[key]
    found[kinetics.yield_column] = np.where(
        reacted, (final[product] - given[product]) / np.where(reacted, spent, 1.0), np.nan
    )
    found |= {"cooling": final[n + 2], "heating": final[n + 3]}
    found["batch_time"] = inputs["time"] + vessel.turnaround
    result = pd.DataFrame(np.nan, index=index, columns=list(found))
    result.loc[valid] = np.column_stack(list(found.values()))
    status = np.full(len(valid), "invalid", dtype=object)
    reason = np.array(reasons, dtype=object)
    limit = kinetics.critical_temperature
    for j, row in enumerate(np.flatnonzero(valid)):
        if hottest[j] > limit:
            status[row] = "runaway"
            reason[row] = f"T_max {hottest[j]:.1f} K is above {limit:g} K"
            if failed[j]:
                reason[row] += "; then the integration gave up"
        elif failed[j]:
            status[row], reason[row] = "failed", "the integration needed too many steps"
        elif not reacted[j]:
            status[row], reason[row] = "no_reaction", f"no {kinetics.key_reactant} is spent"
        else:
            status[row] = "ok"
    return result.assign(status=status, reason=reason)
