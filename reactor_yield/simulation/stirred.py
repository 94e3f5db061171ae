"""All steady states of a continuous stirred tank, liquid or gas, for many rows at once.

Fogler, Essentials of Chemical Reaction Engineering, sections 12.3 and 12.5:

    0 = F_i0 - F_i + V sum_j nu_ij r_j
    0 = (sum_i F_i0 Cp_i + C) (T_0 - T) + V sum_j (-dH_j) r_j - UA (T - Ta)

At each temperature of a fine grid the mass balances are solved; where the energy balance changes
its sign from one temperature to the next there is a steady state, found by bisection. A tank may
have several (multiplicity); each is marked stable or not by the eigenvalues of its dynamics.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reactor_yield.arguments import CONDITIONS, check_arguments, optional
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.simulation.kinetics import Kinetics
from reactor_yield.simulation.rates import Rates
from reactor_yield.simulation.vessel import Vessel

if TYPE_CHECKING:
    from collections.abc import Mapping


Array = NDArray[np.float64]

_GRID = 600
_NEWTON, _BISECTIONS = 40, 50


def simulate_stirred_tank(
    conditions: pd.DataFrame | Mapping[str, float],
    kinetics: Kinetics,
    vessel: Vessel | None = None,
) -> pd.DataFrame:
    """Find every steady state of each row.

    Parameters
    ----------
    conditions : (n, ...) DataFrame, or a mapping for a single row
        The feeds (`Fao`, ..., mol/min), `V` (dm3), `To` (K, of the feed), `Ta` (K, of the jacket,
        if there is one), and for a liquid `vo` (dm3/min), for gas `P` (atm).
    kinetics
        Its reactions, feeds and heat capacities; the tube's volume, heat transfer and coolant play
        no part.
    vessel
        By default an adiabatic liquid one.

    Returns
    -------
    DataFrame, indexed `(row, state)`, coldest first
        `T` (K), `Fa_out`, ... (mol/min), conversion, yield, `stable`, `status` (`ok`, `runaway`
        above the critical temperature, `invalid`, `failed`) and `reason`.

    Raises
    ------
    InvalidConditionsError
        When columns are missing; a bad row does not raise, it is marked.
    """
    check_arguments(
        conditions=(conditions, CONDITIONS),
        kinetics=(kinetics, Kinetics),
        vessel=(vessel, optional(Vessel)),
    )
    vessel = vessel or Vessel(thermal="adiabatic")
    table = conditions if isinstance(conditions, pd.DataFrame) else pd.DataFrame([dict(conditions)])
    inputs = _read_inputs(table, kinetics, vessel)
    bad = ~np.all([np.isfinite(v) for v in inputs.values()], axis=0)
    for column, values in inputs.items():
        bad |= (values < 0) if column in kinetics.feed_columns else (values <= 0)
    bad |= ~(inputs[kinetics.feed_columns[kinetics.feeds.index(kinetics.key_reactant)]] > 0)
    rows = np.flatnonzero(~bad)
    tank = _Tank({c: v[rows] for c, v in inputs.items()}, kinetics, vessel)
    with np.errstate(all="ignore"):
        found = _find_states(tank) if len(rows) else []
    records = [
        _describe(tank, row, flows, temperature, kinetics) | {"row": table.index[rows[row]]}
        for row, flows, temperature in found
    ]
    seen = {rows[row] for row, _, _ in found}
    for row in range(len(table)):
        if row not in seen:
            status = ("invalid", "flows, V, To, Ta, vo and P must be numbers above 0")
            if not bad[row]:
                status = ("failed", "no steady state was found")
            records.append({"row": table.index[row], "status": status[0], "reason": status[1]})
    result = pd.DataFrame.from_records(records)
    order = {label: number for number, label in enumerate(table.index)}
    result["order"] = result["row"].map(order)
    if "T" not in result:
        result["T"] = np.nan
    result = result.sort_values(["order", "T"], kind="stable").drop(columns="order")
    result["state"] = result.groupby("row").cumcount()
    return result.set_index(["row", "state"])


class _Tank:
    """Balances of n rows at any temperatures."""

    def __init__(self, inputs: Mapping[str, Array], kinetics: Kinetics, vessel: Vessel) -> None:
        n_rows = len(inputs["V"])
        self.vessel = vessel
        self.fed = np.zeros((len(kinetics.species), n_rows))
        for feed, column in zip(kinetics.feeds, kinetics.feed_columns, strict=True):
            self.fed[kinetics.species.index(feed)] = inputs[column]
        self.volume, self.inlet = inputs["V"], inputs["To"]
        self.jacket = inputs.get("Ta", self.inlet)
        self.flow = inputs.get("vo")
        self.pressure = inputs.get("P")
        self.gas_law = kinetics.gas_law_constant
        self.heat_capacities = np.array([kinetics.heat_capacities[s] for s in kinetics.species])
        self.carried = self.heat_capacities @ self.fed + vessel.inert_heat_capacity
        self.exchange = vessel.heat_transfer if vessel.thermal == "jacket" else 0.0
        self.stoichiometry = kinetics.stoichiometric_matrix()
        self.released = np.array([-r.heat for r in kinetics.reactions])
        self.rates = Rates(kinetics)

    def made(self, flows: Array, temperature: Array, rows: NDArray[np.int64]) -> Array:
        """V r_j, mol/min, (n_reactions, r)."""
        if self.flow is not None:
            concentrations = flows / self.flow[rows]
        else:
            assert self.pressure is not None
            density = self.pressure[rows] / (self.gas_law * temperature)
            concentrations = flows * density / np.maximum(flows.sum(axis=0), 1e-300)
        return self.rates(concentrations, temperature) * self.volume[rows]

    def solve_mass(self, guess: Array, temperature: Array, rows: NDArray[np.int64]) -> Array:
        """Outlet flows at given temperatures, (n_species, r), by Newton's method kept positive."""
        fed, flows = self.fed[:, rows], guess
        total = fed.sum(axis=0)

        def residual(f: Array) -> Array:
            return fed - f + self.stoichiometry @ self.made(f, temperature, rows)

        for _ in range(_NEWTON):
            value = residual(flows)
            jacobian = np.empty((len(rows), len(flows), len(flows)))
            for i in range(len(flows)):
                moved = flows.copy()
                moved[i] += 1e-7 * total
                jacobian[:, :, i] = ((residual(moved) - value) / (moved[i] - flows[i])).T
            jacobian = np.where(np.isfinite(jacobian), jacobian, 0.0)
            step = np.linalg.solve(jacobian - 1e-300 * np.eye(len(flows)), -value.T[..., None])
            step = step[..., 0].T
            # Each flow may fall to a twentieth per step, which keeps it positive.
            shrink = np.where(step < 0, -step / np.maximum(0.95 * flows, 1e-300), 0.0).max(axis=0)
            flows = flows + step / np.maximum(shrink, 1.0)
            if (np.abs(step) <= 1e-13 * total).all():
                break
        return flows

    def heat_gap(self, flows: Array, temperature: Array, rows: NDArray[np.int64]) -> Array:
        """Heat made minus heat carried off, cal/min, (r,); 0 at a steady state."""
        if self.vessel.thermal == "isothermal":
            return np.asarray(self.inlet[rows] - temperature)
        made = self.released @ self.made(flows, temperature, rows)
        carried = self.carried[rows] * (self.inlet[rows] - temperature)
        return np.asarray(made + carried - self.exchange * (temperature - self.jacket[rows]))


def _find_states(tank: _Tank) -> list[tuple[int, Array, float]]:
    """Rows, flows and temperatures of all steady states."""
    rows = np.arange(len(tank.volume))
    low = np.minimum(tank.inlet, tank.jacket) - 1e-3
    high = np.maximum(tank.inlet, tank.jacket) + 1e-3
    # No more can be released than all that is fed, reacted in the hottest way; no less absorbed.
    scale = np.abs(tank.stoichiometry)
    least = np.where(scale > 0, scale, np.inf).min(axis=0)
    extents = tank.fed.sum(axis=0)[:, None] / least
    swing = extents * tank.released / tank.carried[:, None]
    high = high + np.maximum(swing, 0).sum(axis=1)
    low = np.maximum(low + np.minimum(swing, 0).sum(axis=1), 50.0)
    if tank.vessel.thermal == "isothermal":
        low, high = tank.inlet - 1e-3, tank.inlet + 1e-3
    steps = np.linspace(0, 1, _GRID if tank.vessel.thermal != "isothermal" else 2)
    found: list[tuple[int, Array, float]] = []
    # Nothing reacts in the cold, so that what is fed is a good guess there; each temperature's
    # solution is the guess at the next.
    before = tank.solve_mass(np.maximum(tank.fed, 1e-9 * tank.fed.sum(axis=0)), low, rows)
    gap_before, temperature_before = tank.heat_gap(before, low, rows), low
    for step in steps[1:]:
        temperature = low + step * (high - low)
        flows = tank.solve_mass(before, temperature, rows)
        gap = tank.heat_gap(flows, temperature, rows)
        crossing = np.flatnonzero((gap_before > 0) != (gap > 0))
        if len(crossing):
            a, b = temperature_before[crossing].copy(), temperature[crossing].copy()
            sign = gap_before[crossing] > 0
            inner = before[:, crossing]
            for _ in range(_BISECTIONS):
                middle = 0.5 * (a + b)
                inner = tank.solve_mass(inner, middle, crossing)
                same = (tank.heat_gap(inner, middle, crossing) > 0) == sign
                a, b = np.where(same, middle, a), np.where(same, b, middle)
            found += [(int(r), inner[:, i], float(a[i])) for i, r in enumerate(crossing)]
        before, gap_before, temperature_before = flows, gap, temperature
    return found


def _describe(
    tank: _Tank, row: int, flows: Array, temperature: float, kinetics: Kinetics
) -> dict[str, object]:
    """One steady state."""
    key = kinetics.species.index(kinetics.key_reactant)
    product = kinetics.species.index(kinetics.product)
    spent = tank.fed[key, row] - flows[key]
    made = flows[product] - tank.fed[product, row]
    hot = temperature > kinetics.critical_temperature
    limit = kinetics.critical_temperature
    return {
        "T": temperature,
        **{name: flows[i] for i, name in enumerate(kinetics.outlet_columns)},
        kinetics.conversion_column: spent / tank.fed[key, row],
        kinetics.yield_column: made / spent if spent > 1e-9 * tank.fed[key, row] else np.nan,
        "stable": _is_stable(tank, row, flows, temperature),
        "status": "runaway" if hot else "ok",
        "reason": f"T {temperature:.1f} K is above {limit:g} K" if hot else "",
    }


def _is_stable(tank: _Tank, row: int, flows: Array, temperature: float) -> bool:
    """Whether small deviations die out: eigenvalues of the balances over what the tank holds.

    The flows stand for the contents (liquid: N_i = F_i V / v), and T for their heat.
    """
    rows = np.array([row])
    state = np.append(flows, temperature)

    def slopes(y: Array) -> Array:
        f, t = y[:-1, None], y[-1:]
        mass = tank.fed[:, rows] - f + tank.stoichiometry @ tank.made(f, t, rows)
        return np.append(mass[:, 0], tank.heat_gap(f, t, rows) / tank.carried[rows])

    jacobian = np.empty((len(state), len(state)))
    sizes = np.append(np.full(len(flows), tank.fed[:, row].sum()), temperature)
    for i in range(len(state)):
        moved = np.repeat(state[:, None], 2, axis=1)
        moved[i] += 1e-6 * sizes[i] * np.array([1.0, -1.0])
        jacobian[:, i] = (slopes(moved[:, 0]) - slopes(moved[:, 1])) / (2e-6 * sizes[i])
    return bool(np.linalg.eigvals(jacobian).real.max() < 0)


def _read_inputs(table: pd.DataFrame, kinetics: Kinetics, vessel: Vessel) -> dict[str, Array]:
    needed = [*kinetics.feed_columns, "V", "To", "vo" if vessel.phase == "liquid" else "P"]
    if vessel.thermal == "jacket":
        needed.append("Ta")
    missing = [c for c in needed if c not in table.columns]
    if missing:
        message = f"conditions lack the columns {missing}; found {list(table.columns)}"
        raise InvalidConditionsError(message)
    return {
        c: pd.to_numeric(table[c], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        for c in needed
    }
