"""A plug-flow reactor with gas-phase reactions and a co-current coolant, for many rows at once.

With `F_T` the total flow and `C_i = C_T0 (F_i / F_T) (T_0 / T)` (ideal gas, no pressure drop), each
reaction `j` runs at `r_j = k_j(T) prod_i C_i^n_ij`, `k_j = k_ref exp(E / R (1 / T_ref - 1 / T))`,
and along the volume `V` (Fogler, Essentials of Chemical Reaction Engineering, section 12.5):

    dF_i / dV = sum_j nu_ij r_j
    dT / dV   = (sum_j (-dH_j) r_j - Ua (T - T_a)) / sum_i F_i Cp_i
    dT_a / dV = Ua (T - T_a) / (m Cp_c)

Columns and their units are in `reactor_yield.data.columns`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from reactor_yield.arguments import CONDITIONS, COUNT, POSITIVE, TRUTH, check_arguments
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.legacy import frozen_parameters, grid_positions
from reactor_yield.simulation.kinetics import REFERENCE, Kinetics, inlet_concentration
from reactor_yield.simulation.rates import Rates
from reactor_yield.simulation.stiff import integrate_any

if TYPE_CHECKING:
    from reactor_yield.simulation.integrator import Integration

Array = NDArray[np.float64]


def simulate_reactor(
    conditions: pd.DataFrame | Mapping[str, float],
    kinetics: Kinetics = REFERENCE,
    *,
    frozen: bool = False,
    profiles: bool = False,
    n_positions: int = 201,
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> pd.DataFrame:
    """Outlet, hot spot, conversion and yield of each row.

    Parameters
    ----------
    conditions : (n, ...) DataFrame, or a mapping for a single row
        Columns `kinetics.condition_columns` (Fao, Fbo in mol/min, P in atm, To in K, m in mol/min,
        Ta in K); others are ignored. `Cto` follows from P and To.
    kinetics
        The reactor.
    frozen
        Repeat the old data set's mistake: To = 300 K, Cto = 0.2 mol/dm3 and m = 10 mol/min in the
        equations of every row (only the inlet T and Ta vary), and T_max read on a 21-point grid.
    profiles
        Deprecated: call `simulate_profiles`.
    n_positions
        Deprecated with `profiles`.
    rtol, atol
        Relative and absolute error per step. The old study's results are those of 1e-3 and 1e-6.

    Returns
    -------
    DataFrame
        Indexed like `conditions`. `Cto`, `T_max` (K, the peak of the continuous solution),
        `V_max` (dm3, where it is), `T_max_grid` (K, the same on the 21-point grid), outlet flows
        (mol/min), the product's outlet concentration (mol/dm3), conversion, yield, and

        - `status`: `ok`; `runaway` (T_max above the kinetics' critical temperature); `invalid`
          (these conditions mean nothing); `failed` (the integration gave up, or an invariant was
          lost); `no_reaction` (nothing spent, so no yield).
        - `reason`: empty when `ok`, otherwise what is wrong. Numbers are NaN only where it says
          why.

    Raises
    ------
    InvalidConditionsError
        When columns are missing or not numeric; a bad row does not raise, it is marked.
    """
    check_arguments(
        conditions=(conditions, CONDITIONS),
        kinetics=(kinetics, Kinetics),
        frozen=(frozen, TRUTH),
        profiles=(profiles, TRUTH),
        n_positions=(n_positions, COUNT),
        rtol=(rtol, POSITIVE),
        atol=(atol, POSITIVE),
    )
    if profiles:
        warnings.warn(
            "simulate_reactor(profiles=True) is deprecated; call simulate_profiles",
            DeprecationWarning,
            stacklevel=2,
        )
        return simulate_profiles(
            conditions, kinetics, frozen=frozen, n_positions=n_positions, rtol=rtol, atol=atol
        )
    table = _as_table(conditions)
    inputs = _read_inputs(table, kinetics)
    reasons = _find_invalid(inputs, kinetics)
    valid = np.array([not reason for reason in reasons], dtype=bool)
    initial, parameters = _initial_values(
        {k: v[valid] for k, v in inputs.items()}, kinetics, frozen
    )
    solution = integrate_any(
        _Balances(kinetics),
        initial,
        parameters,
        length=kinetics.volume,
        watch=len(initial) - 2,
        positions=grid_positions(kinetics),
        whole_state=False,
        rtol=rtol,
        atol=atol,
    )
    return _outlets(table.index, inputs, valid, reasons, initial, solution, kinetics, frozen=frozen)


def simulate_profiles(
    conditions: pd.DataFrame | Mapping[str, float],
    kinetics: Kinetics = REFERENCE,
    *,
    frozen: bool = False,
    n_positions: int = 201,
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> pd.DataFrame:
    """State along the reactor.

    Parameters
    ----------
    conditions, kinetics, frozen, rtol, atol
        As in `simulate_reactor`.
    n_positions
        Equidistant positions, both ends included.

    Returns
    -------
    (rows * n_positions, ...) DataFrame
        Indexed `(row, V)`, V in dm3, with the flows Fa, Fb, ... (mol/min), `T` and `Ta` (K); rows
        that could not be simulated are left out.

    Raises
    ------
    InvalidConditionsError
        When columns are missing or `n_positions` is below 2.
    """
    check_arguments(
        conditions=(conditions, CONDITIONS),
        kinetics=(kinetics, Kinetics),
        frozen=(frozen, TRUTH),
        n_positions=(n_positions, COUNT),
        rtol=(rtol, POSITIVE),
        atol=(atol, POSITIVE),
    )
    if n_positions < 2:
        message = f"n_positions must be at least 2, got {n_positions}"
        raise InvalidConditionsError(message)
    table = _as_table(conditions)
    inputs = _read_inputs(table, kinetics)
    valid = np.array([not reason for reason in _find_invalid(inputs, kinetics)], dtype=bool)
    positions = np.linspace(0, kinetics.volume, n_positions)
    initial, parameters = _initial_values(
        {k: v[valid] for k, v in inputs.items()}, kinetics, frozen
    )
    solution = integrate_any(
        _Balances(kinetics),
        initial,
        parameters,
        length=kinetics.volume,
        watch=len(initial) - 2,
        positions=positions,
        rtol=rtol,
        atol=atol,
    )
    solved = np.flatnonzero(~solution.failed)
    values = solution.samples[:, :, solved].transpose(2, 0, 1).reshape(-1, len(solution.final))
    levels = pd.MultiIndex.from_product([table.index[valid][solved], positions], names=["row", "V"])
    names = [f"F{s.lower()}" for s in kinetics.species]
    if kinetics.pressure_drop:
        inlet = np.repeat(inputs["P"][valid][solved], n_positions)
        column = len(names)
        values[:, column] = inlet * np.sqrt(np.maximum(values[:, column], 0.0))
        names.append("P")
    names += ["T", "Ta"]
    return pd.DataFrame(values, index=levels, columns=names)


def _as_table(conditions: pd.DataFrame | Mapping[str, float]) -> pd.DataFrame:
    if isinstance(conditions, pd.DataFrame):
        return conditions
    if isinstance(conditions, Mapping):
        return pd.DataFrame([dict(conditions)])
    message = (
        f"conditions must be a DataFrame, or a mapping for one row, got {type(conditions).__name__}"
    )
    raise InvalidConditionsError(message)


def _read_inputs(table: pd.DataFrame, kinetics: Kinetics) -> dict[str, Array]:
    """Columns as float arrays; text that is no number becomes NaN and marks only its row."""
    missing = [c for c in kinetics.condition_columns if c not in table.columns]
    if missing:
        message = (
            f"conditions lack the columns {missing}; needed are "
            f"{list(kinetics.condition_columns)}, found {list(table.columns)}"
        )
        raise InvalidConditionsError(message)
    return {
        c: pd.to_numeric(table[c], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
        for c in kinetics.condition_columns
    }


def _find_invalid(inputs: Mapping[str, Array], kinetics: Kinetics) -> list[str]:
    """Why each row cannot be simulated; empty where it can."""
    n_rows = len(next(iter(inputs.values())))
    reasons: list[list[str]] = [[] for _ in range(n_rows)]
    key = f"F{kinetics.key_reactant.lower()}o"
    for column, values in inputs.items():
        may_be_zero = column in kinetics.feed_columns and column != key
        bad = ~np.isfinite(values) | (values < 0 if may_be_zero else values <= 0)
        rule = "must not be negative" if may_be_zero else "must be above 0"
        for row in np.flatnonzero(bad):
            value = values[row]
            said = f"is {value:g}, {rule}" if np.isfinite(value) else "is not a finite number"
            reasons[row].append(f"{column} {said}")
    return ["; ".join(parts) for parts in reasons]


def _initial_values(
    inputs: Mapping[str, Array], kinetics: Kinetics, frozen: bool
) -> tuple[Array, Array]:
    """State at the inlet, (n_states, n), and each row's constants, (3, n)."""
    n_rows = len(inputs["To"])
    initial = np.zeros((len(kinetics.species) + (3 if kinetics.pressure_drop else 2), n_rows))
    for feed, column in zip(kinetics.feeds, kinetics.feed_columns, strict=True):
        initial[kinetics.species.index(feed)] = inputs[column]
    initial[-2], initial[-1] = inputs["To"], inputs["Ta"]
    if kinetics.pressure_drop:
        initial[-3] = 1.0
    per_feed = 1 / (inputs["To"] * np.maximum(initial[: len(kinetics.species)].sum(axis=0), 1e-300))
    if frozen:
        return initial, np.vstack([frozen_parameters(n_rows, kinetics), per_feed])
    # C_T0 T_0 = P / R: the inlet temperature cancels out of the concentrations.
    scale = inputs["P"] / kinetics.gas_law_constant
    coolant = inputs["m"] * kinetics.coolant_heat_capacity
    return initial, np.vstack([scale, coolant, per_feed])


class _Balances:
    """Right-hand side of the balances for (n_states, r) states and (3, r) row constants.

    States are the flows, then with a pressure drop the square of the pressure over that at the
    inlet, then T and Ta.
    """

    def __init__(self, kinetics: Kinetics) -> None:
        self.n_species = len(kinetics.species)
        self.heat_transfer = kinetics.heat_transfer
        self.pressure_drop = kinetics.pressure_drop
        self.heat_capacities = np.array([kinetics.heat_capacities[s] for s in kinetics.species])
        self.stoichiometry = kinetics.stoichiometric_matrix()
        self.heats = np.array([-r.heat for r in kinetics.reactions])
        self.rates = Rates(kinetics)

    def __call__(self, y: Array, parameters: Array) -> Array:
        flows, temperature, coolant = y[: self.n_species], y[-2], y[-1]
        total = flows.sum(axis=0)
        scale = parameters[0] / (total * temperature)
        slopes = np.empty_like(y)
        if self.pressure_drop:
            scale = scale * np.sqrt(np.maximum(y[-3], 0.0))
            slopes[-3] = -self.pressure_drop * parameters[2] * temperature * total
        rates = self.rates(flows * scale, temperature)
        exchanged = self.heat_transfer * (temperature - coolant)
        slopes[: self.n_species] = self.stoichiometry @ rates
        slopes[-2] = (self.heats @ rates - exchanged) / (self.heat_capacities @ flows)
        slopes[-1] = exchanged / parameters[1]
        return slopes


def _outlets(
    index: pd.Index,
    inputs: Mapping[str, Array],
    valid: NDArray[np.bool_],
    reasons: list[str],
    initial: Array,
    solution: Integration,
    kinetics: Kinetics,
    *,
    frozen: bool,
) -> pd.DataFrame:
    """One row of results per row of conditions."""
    n_species = len(kinetics.species)
    flows = solution.final[:n_species]
    key = kinetics.species.index(kinetics.key_reactant)
    product = kinetics.species.index(kinetics.product)
    inlet_flow, inlet_product = initial[key], initial[product]
    spent = inlet_flow - flows[key]
    reacted = spent > 1e-9 * inlet_flow
    concentration = inlet_concentration(inputs["P"][valid], inputs["To"][valid], kinetics)
    grid_peak = solution.samples[:, 0, :].max(axis=0)
    found: dict[str, Array] = {"Cto": concentration}
    found["T_max"] = grid_peak if frozen else solution.peak
    found["V_max"] = solution.peak_position
    found["T_max_grid"] = grid_peak
    found |= dict(zip(kinetics.outlet_columns, flows, strict=True))
    # The old data's outlet concentration used each row's own C_T0 and T_0, frozen equations or not.
    scale = concentration * inputs["To"][valid]
    if kinetics.pressure_drop:
        pressure = np.sqrt(np.maximum(solution.final[-3], 0.0))
        scale = scale * pressure
        found["P_out"] = inputs["P"][valid] * pressure
    found[kinetics.concentration_column] = (
        scale * flows[product] / (flows.sum(axis=0) * solution.final[-2])
    )
    found[kinetics.conversion_column] = spent / inlet_flow
    found[kinetics.yield_column] = np.where(
        reacted, (flows[product] - inlet_product) / np.where(reacted, spent, 1.0), np.nan
    )
    result = pd.DataFrame(np.nan, index=index, columns=list(found))
    result.loc[valid] = np.column_stack(list(found.values()))

    status = np.full(len(valid), "invalid", dtype=object)
    reason = np.array(reasons, dtype=object)
    rows = np.flatnonzero(valid)
    lost = _lost_invariants(initial[:n_species], flows, kinetics)
    hot = solution.peak > kinetics.critical_temperature
    if frozen:
        hot = (grid_peak > kinetics.critical_temperature) & ~solution.failed
    for j, row in enumerate(rows):
        if solution.failed[j] and hot[j]:
            status[row] = "runaway"
            reason[row] = (
                f"T exceeded {kinetics.critical_temperature:g} K, then the integration gave up; "
                "T_max is the highest value until then"
            )
        elif solution.failed[j]:
            status[row], reason[row] = (
                "failed",
                "the integration needed too many or too small steps",
            )
        elif kinetics.pressure_drop and solution.final[-3, j] <= 0:
            status[row], reason[row] = "failed", "the pressure is used up inside the tube"
        elif lost[j] > 1e-8:
            status[row] = "failed"
            reason[row] = f"stoichiometric invariants lost: {lost[j]:.1e} of the feed"
        elif not reacted[j]:
            status[row], reason[row] = "no_reaction", f"no {kinetics.key_reactant} is spent"
        elif hot[j]:
            status[row] = "runaway"
            reason[row] = (
                f"T_max {found['T_max'][j]:.1f} K is above {kinetics.critical_temperature:g} K"
            )
        else:
            status[row] = "ok"
    return result.assign(status=status, reason=reason)


def _lost_invariants(inlet: Array, outlet: Array, kinetics: Kinetics) -> Array:
    """Largest change of an invariant from inlet to outlet, as a fraction of the feed, (n,)."""
    change = np.abs(kinetics.invariants() @ (outlet - inlet))
    if not len(change):
        return np.zeros(inlet.shape[1])
    return np.asarray(change.max(axis=0) / inlet.sum(axis=0))
