"""Kinetic constants from measurements, with the region in which they lie."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import least_squares
from scipy.stats import f as f_distribution

from reactor_yield.arguments import (
    FUNCTION,
    POSITIVE,
    SHARE,
    TABLE,
    Kind,
    by_name,
    check_arguments,
    optional,
)
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.simulation.kinetics import Kinetics

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


Array = NDArray[np.float64]

PARAMETERS = ("rate_constant", "activation_energy", "equilibrium_constant")
_LOGARITHMIC = ("rate_constant", "equilibrium_constant")


@dataclass(frozen=True, slots=True, kw_only=True)
class KineticsFit:
    """Fitted constants and their confidence region.

    Attributes
    ----------
    kinetics
        With the fitted constants.
    parameters
        `(reaction, constant)` of each, in the order of the arrays.
    estimate : (q,) array
        Rate and equilibrium constants as logarithms, activation energies in cal/mol.
    covariance : (q, q) array
    n_values
        Measurements used.
    noise
        Standard deviation of a measurement over its stated error.
    """

    kinetics: Kinetics
    parameters: tuple[tuple[str, str], ...]
    estimate: Array
    covariance: Array
    n_values: int
    noise: float

    def contains(self, kinetics: Kinetics, *, confidence: float = 0.95) -> bool:
        """Whether another kinetics' constants lie in the joint confidence region, an ellipsoid.

        References
        ----------
        Bates & Watts (1988), Nonlinear Regression Analysis, eq. 2.20, doi:10.1002/9780470316757.
        """
        check_arguments(kinetics=(kinetics, Kinetics), confidence=(confidence, SHARE))
        away = _read_parameters(kinetics, self.parameters) - self.estimate
        size = len(away)
        try:
            distance = float(away @ np.linalg.solve(self.covariance, away)) / size
        except np.linalg.LinAlgError as problem:
            message = "the data are met exactly: with no error seen there is no confidence region"
            raise InvalidConditionsError(message) from problem
        return distance <= f_distribution.ppf(confidence, size, self.n_values - size)

    def to_frame(self, *, confidence: float = 0.95) -> pd.DataFrame:
        """Each constant with its own interval: `estimate`, `lower`, `upper`."""
        check_arguments(confidence=(confidence, SHARE))
        size = self.n_values - len(self.estimate)
        wide = np.sqrt(np.diag(self.covariance) * f_distribution.ppf(confidence, 1, size))
        rows = []
        for (reaction, name), value, half in zip(self.parameters, self.estimate, wide, strict=True):
            ends = np.array([value, value - half, value + half])
            with np.errstate(over="ignore"):  # an interval without an upper end
                ends = np.exp(ends) if name in _LOGARITHMIC else ends
            rows.append((reaction, name, *ends))
        return pd.DataFrame(rows, columns=["reaction", "constant", "estimate", "lower", "upper"])


_PARAMETERS = Kind(
    "a list of (reaction, parameter), one at least",
    lambda value: (
        isinstance(value, tuple | list)
        and len(value) > 0
        and all(isinstance(pair, tuple | list) and len(pair) == 2 for pair in value)
        and all(isinstance(word, str) for pair in value for word in pair)
    ),
)


def fit_kinetics(
    data: pd.DataFrame,
    kinetics: Kinetics,
    simulate: Callable[[pd.DataFrame, Kinetics], pd.DataFrame],
    *,
    measured: Mapping[str, float],
    parameters: Sequence[tuple[str, str]] | None = None,
) -> KineticsFit:
    """Fit rate constants, activation energies and equilibrium constants by least squares.

    Parameters
    ----------
    data : (n, ...) DataFrame
        Conditions and measurements; a missing measurement is left out.
    kinetics
        Where the search starts; what is not fitted stays as it is.
    simulate
        Such as `simulate_batch_reactor`; called with conditions and kinetics, returns a table with
        the measured columns.
    measured
        Columns that were measured, each with its measurements' error, in the column's unit: their
        ratios are the weights; the size of the noise is found.
    parameters
        `(reaction's name, constant)` of what is to be fitted; by default the rate constants and the
        activation energies of all reactions.

    Returns
    -------
    KineticsFit

    Raises
    ------
    InvalidConditionsError
        When a column or constant is unknown, there are too few measurements, or they cannot tell
        the constants apart.

    References
    ----------
    Bates & Watts (1988), doi:10.1002/9780470316757; logarithms of the constants at a reference
    temperature inside the data keep them from being correlated.
    """
    check_arguments(
        data=(data, TABLE),
        kinetics=(kinetics, Kinetics),
        simulate=(simulate, FUNCTION),
        measured=(measured, by_name(POSITIVE)),
        parameters=(parameters, optional(_PARAMETERS)),
    )
    wanted = tuple(
        parameters
        if parameters is not None
        else [(r.name, name) for r in kinetics.reactions for name in PARAMETERS[:2]]
    )
    truth, weights = _read_measurements(data, kinetics, wanted, measured)
    used = np.isfinite(truth)
    start = _read_parameters(kinetics, wanted)
    scale = np.array([1.0 if name in _LOGARITHMIC else 1_000.0 for _, name in wanted])

    def residuals(scaled: Array) -> Array:
        table = simulate(data, _with_parameters(kinetics, wanted, scaled * scale))
        found = table[list(measured)].to_numpy(dtype=float)
        difference = ((found - truth) / weights)[used]
        return np.asarray(np.where(np.isfinite(difference), difference, 1e3))

    solution = least_squares(residuals, start / scale, x_scale=1.0, diff_step=1e-4, xtol=1e-9)
    n_values = int(used.sum())
    noise = float(2 * solution.cost / (n_values - len(wanted)))
    information = solution.jac.T @ solution.jac
    if not np.linalg.cond(information) < 1e14:
        message = (
            f"the measurements cannot tell {list(wanted)} apart: fit fewer constants, or measure "
            "at other temperatures"
        )
        raise InvalidConditionsError(message)
    covariance = noise * np.linalg.inv(information) * np.outer(scale, scale)
    estimate = solution.x * scale
    return KineticsFit(
        kinetics=_with_parameters(kinetics, wanted, estimate),
        parameters=wanted,
        estimate=estimate,
        covariance=covariance,
        n_values=n_values,
        noise=float(np.sqrt(noise)),
    )


def _read_measurements(
    data: pd.DataFrame,
    kinetics: Kinetics,
    wanted: Sequence[tuple[str, str]],
    measured: Mapping[str, float],
) -> tuple[Array, Array]:
    """Measurements (n, c) and their errors (c,), or everything that is wrong with what is asked."""
    names = [r.name for r in kinetics.reactions]
    problems = [f"the data lack the measured column {c!r}" for c in measured if c not in data]
    problems += [
        f"the error of {c!r} must be above 0, got {error!r}"
        for c, error in measured.items()
        if not (np.isfinite(error) and error > 0)
    ]
    problems += [
        f"there is no reaction {r!r}; there are {names}" for r, _ in wanted if r not in names
    ]
    problems += [
        f"{name!r} of {r!r} cannot be fitted; what can: {PARAMETERS}"
        for r, name in wanted
        if name not in PARAMETERS
    ]
    problems += [
        f"reaction {r.name!r} has no equilibrium_constant to start from"
        for r in kinetics.reactions
        if (r.name, "equilibrium_constant") in wanted and r.equilibrium_constant is None
    ]
    if len(set(names)) != len(names):
        problems.append(f"reactions need names of their own, got {names}")
    if problems:
        raise InvalidConditionsError(*problems)
    truth = np.column_stack([pd.to_numeric(data[c], errors="coerce") for c in measured])
    n_values = int(np.isfinite(truth).sum())
    if n_values <= len(wanted):
        message = f"{len(wanted)} constants cannot be fitted to {n_values} measurements"
        raise InvalidConditionsError(message)
    return truth.astype(float), np.array(list(measured.values()), dtype=float)


def _read_parameters(kinetics: Kinetics, wanted: Sequence[tuple[str, str]]) -> Array:
    named = {r.name: r for r in kinetics.reactions}
    values = [float(getattr(named[reaction], name)) for reaction, name in wanted]
    return np.array(
        [
            np.log(value) if name in _LOGARITHMIC else value
            for value, (_, name) in zip(values, wanted, strict=True)
        ]
    )


def _with_parameters(
    kinetics: Kinetics, wanted: Sequence[tuple[str, str]], values: Array
) -> Kinetics:
    changes: dict[str, dict[str, Any]] = {}
    for (reaction, name), value in zip(wanted, values, strict=True):
        number = (
            float(np.exp(np.clip(value, -300, 300))) if name in _LOGARITHMIC else max(value, 0.0)
        )
        changes.setdefault(reaction, {})[name] = float(number)
    reactions = tuple(replace(r, **changes.get(r.name, {})) for r in kinetics.reactions)
    return replace(kinetics, reactions=reactions)
