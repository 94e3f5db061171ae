"""Implicit Runge-Kutta (Radau IIA, order 5) over many rows at once, for rows that are stiff.

An explicit method needs steps as short as the fastest reaction, however little it matters; this one
needs a linear system per step instead. `integrate_any` tries the explicit method first and gives
the rows that it cannot do in reasonable steps to this one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reactor_yield.simulation.integrator import Integration, integrate

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[np.float64]

_ROOT = np.sqrt(6.0)
_NODES = np.array([(4 - _ROOT) / 10, (4 + _ROOT) / 10, 1.0])
_WEIGHTS = np.array(
    [
        [(88 - 7 * _ROOT) / 360, (296 - 169 * _ROOT) / 1800, (-2 + 3 * _ROOT) / 225],
        [(296 + 169 * _ROOT) / 1800, (88 + 7 * _ROOT) / 360, (-2 - 3 * _ROOT) / 225],
        [(16 - _ROOT) / 36, (16 + _ROOT) / 36, 1 / 9],
    ]
)
# Hairer & Wanner's estimate: h gamma_0 f(y) and these multiples of the stages' increments.
_GAMMA = 1 / (3 + 3 ** (2 / 3) - 3 ** (1 / 3))
_ERROR = np.array([-13 - 7 * _ROOT, -13 + 7 * _ROOT, -1.0]) / 3
# The collocation polynomial through 0 and the stages' increments: coefficients of theta^1..3.
_DENSE = np.linalg.inv(np.vander(_NODES, 4, increasing=True)[:, 1:])
_EXPLICIT_STEPS = 2_000
_MOST_STEPS = 20_000


def integrate_any(
    derivative: Callable[[Array, Array], Array],
    initial: Array,
    parameters: Array,
    *,
    length: float,
    watch: int,
    positions: Array | None = None,
    whole_state: bool = True,
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> Integration:
    """Integrate every row: explicitly where that takes at most 2,000 steps, implicitly otherwise.

    Parameters and result are those of `integrate`. Of a row that even the implicit method gives up,
    `peak` is the largest value until then.
    """
    found = integrate(
        derivative,
        initial,
        parameters,
        length=length,
        watch=watch,
        positions=positions,
        whole_state=whole_state,
        rtol=rtol,
        atol=atol,
        max_steps=_EXPLICIT_STEPS,
    )
    rows = np.flatnonzero(found.failed)
    if not len(rows):
        return found
    again = integrate_stiff(
        derivative,
        initial[:, rows],
        parameters[:, rows],
        length=length,
        watch=watch,
        positions=positions,
        whole_state=whole_state,
        rtol=rtol,
        atol=atol,
    )
    merged = {
        name: getattr(found, name).copy()
        for name in ("final", "peak", "peak_position", "samples", "failed", "n_steps")
    }
    for name, values in merged.items():
        values[..., rows] = getattr(again, name)
    return replace(found, **merged)


def integrate_stiff(
    derivative: Callable[[Array, Array], Array],
    initial: Array,
    parameters: Array,
    *,
    length: float,
    watch: int,
    positions: Array | None = None,
    whole_state: bool = True,
    rtol: float = 1e-8,
    atol: float = 1e-10,
) -> Integration:
    """Integrate dy/dx = f(y; parameters) from 0 to `length` for every column of `initial`.

    Parameters and result are those of `integrate`; of a row that is given up (`failed`), `peak` is
    the largest value until then.

    References
    ----------
    Hairer & Wanner (1996), Solving Ordinary Differential Equations II, section IV.8,
    doi:10.1007/978-3-642-05221-7.
    """
    wanted = np.empty(0) if positions is None else np.asarray(positions, dtype=float)
    n_states, n_rows = initial.shape
    components = slice(None) if whole_state else slice(watch, watch + 1)
    out = Integration(
        final=np.full((n_states, n_rows), np.nan),
        peak=initial[watch].copy(),
        peak_position=np.zeros(n_rows),
        samples=np.full((len(wanted), n_states if whole_state else 1, n_rows), np.nan),
        failed=np.zeros(n_rows, dtype=bool),
        n_steps=np.zeros(n_rows, dtype=np.int64),
    )
    rows = np.arange(n_rows)
    y, p, x = initial.copy(), parameters, np.zeros(n_rows)
    next_sample = np.zeros(n_rows, dtype=np.int64)
    with np.errstate(all="ignore"):
        slope = derivative(y, p)
        speed = np.abs(slope / (atol / rtol + np.abs(y))).max(axis=0)
        h = np.minimum(length, 1e-4 / np.maximum(speed, 1e-4 / length))
        for _ in range(_MOST_STEPS):
            h = np.minimum(h, length - x)
            stages, converged = _solve_stages(derivative, y, p, h, rtol=rtol, atol=atol)
            error = _estimate_error(derivative, y, p, h, stages, rtol=rtol, atol=atol)
            error = np.where(converged & np.isfinite(error), error, np.inf)
            accepted = error <= 1
            last = accepted & (h >= length - x)
            x_new = np.where(last, length, np.where(accepted, x + h, x))
            _record(
                wanted, next_sample, accepted, x, x_new, h, y, stages, rows, out, components, watch
            )
            y = np.where(accepted, y + stages[2], y)
            growth = np.where(np.isfinite(error), 0.9 * np.maximum(error, 1e-8) ** -0.25, 0.25)
            out.n_steps[rows] += 1
            h = h * np.clip(growth, 0.2, np.where(accepted, 5.0, 1.0))
            x = x_new
            stuck = ~last & (h < np.maximum(4e-16 * x, 1e-22 * length))
            out.final[:, rows[last]] = y[:, last]
            out.failed[rows[stuck]] = True
            keep = ~(last | stuck)
            if not keep.any():
                return out
            rows, x, h, next_sample = rows[keep], x[keep], h[keep], next_sample[keep]
            y, p = y[:, keep], p[:, keep]
    out.failed[rows] = True
    return out


def _jacobian(
    derivative: Callable[[Array, Array], Array], y: Array, p: Array, slope: Array
) -> Array:
    """Forward differences, (r, k, k)."""
    jacobian = np.empty((y.shape[1], len(y), len(y)))
    floor = 1e-6 * np.abs(y).max(axis=0)
    for j in range(len(y)):
        moved = y.copy()
        step = 1e-7 * np.maximum(np.abs(y[j]), floor)
        moved[j] += step
        jacobian[:, :, j] = ((derivative(moved, p) - slope) / (moved[j] - y[j])).T
    return jacobian


def _solve_stages(
    derivative: Callable[[Array, Array], Array],
    y: Array,
    p: Array,
    h: Array,
    *,
    rtol: float,
    atol: float,
) -> tuple[Array, NDArray[np.bool_]]:
    """Increments of the three stages, (3, k, r), by a simplified Newton method; where it converged.

    Rows whose matrix has no inverse count as not converged.
    """
    k, r = y.shape
    jacobian = _jacobian(derivative, y, p, derivative(y, p))
    usable = np.isfinite(jacobian).all(axis=(1, 2))
    jacobian[~usable] = 0.0
    matrix = np.eye(3 * k) - np.einsum(
        "ij,rab->riajb", _WEIGHTS, h[:, None, None] * jacobian
    ).reshape(r, 3 * k, 3 * k)
    inverse = np.linalg.pinv(matrix) if not usable.all() else _invert(matrix)
    stages = np.zeros((3, k, r))
    scale = atol + rtol * np.abs(y)
    converged = np.zeros(r, dtype=bool)
    before = np.full(r, np.inf)
    for _ in range(12):
        slopes = np.stack([derivative(y + stage, p) for stage in stages])
        residual = h * np.einsum("ij,jkr->ikr", _WEIGHTS, slopes) - stages
        flat = residual.reshape(3 * k, r).T
        step = np.einsum("rij,rj->ri", inverse, np.where(np.isfinite(flat), flat, 0.0))
        bad = ~np.isfinite(flat).all(axis=1)
        change = step.T.reshape(3, k, r)
        stages = stages + np.where(converged, 0.0, change)
        size = np.sqrt(np.mean((change / scale) ** 2, axis=(0, 1)))
        size = np.where(bad, np.inf, size)
        converged |= size < 0.01
        if (converged | (size > 2 * before)).all():
            break
        before = size
    return stages, converged & usable


def _invert(matrix: Array) -> Array:
    try:
        return np.asarray(np.linalg.inv(matrix))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.pinv(matrix))


def _estimate_error(
    derivative: Callable[[Array, Array], Array],
    y: Array,
    p: Array,
    h: Array,
    stages: Array,
    *,
    rtol: float,
    atol: float,
) -> Array:
    """Hairer and Wanner's error estimate, filtered by the real stage's matrix, (r,)."""
    slope = derivative(y, p)
    jacobian = _jacobian(derivative, y, p, slope)
    jacobian = np.where(np.isfinite(jacobian), jacobian, 0.0)
    matrix = np.eye(len(y)) - _GAMMA * h[:, None, None] * jacobian
    raw = h * _GAMMA * slope + _GAMMA * np.einsum("i,ikr->kr", _ERROR, stages)
    raw = np.where(np.isfinite(raw), raw, np.inf)
    inverse = _invert(matrix)
    error = np.einsum("rij,jr->ir", inverse, raw)
    scale = atol + rtol * np.maximum(np.abs(y), np.abs(y + stages[2]))
    return np.asarray(np.sqrt(np.mean((error / scale) ** 2, axis=0)))


def _record(
    wanted: Array,
    next_sample: NDArray[np.int64],
    accepted: NDArray[np.bool_],
    x: Array,
    x_new: Array,
    h: Array,
    y: Array,
    stages: Array,
    rows: NDArray[np.int64],
    out: Integration,
    components: slice,
    watch: int,
) -> None:
    """Write samples and peak from the collocation polynomial of the accepted steps."""
    dense = np.einsum("pi,ikr->pkr", _DENSE, stages)
    while len(wanted):
        position = wanted[np.minimum(next_sample, len(wanted) - 1)]
        due = np.flatnonzero(accepted & (next_sample < len(wanted)) & (position <= x_new))
        if not len(due):
            break
        theta = np.minimum((position[due] - x[due]) / h[due], 1.0)
        powers = theta[None] ** np.arange(1, 4)[:, None]
        values = y[components][:, due] + np.einsum(
            "pc,pkc->kc", powers, dense[:, components][:, :, due]
        )
        out.samples[next_sample[due], :, rows[due]] = values.T
        next_sample[due] += 1
    a, b, c = 3 * dense[2, watch], 2 * dense[1, watch], dense[0, watch]
    root = np.sqrt(np.maximum(b * b - 4 * a * c, 0.0))
    for theta in (np.ones_like(h), (-b - root) / (2 * a), (-b + root) / (2 * a), -c / b):
        inside = accepted & np.isfinite(theta) & (theta > 0) & (theta <= 1)
        t = np.where(inside, theta, 0.0)
        value = y[watch] + t * (dense[0, watch] + t * (dense[1, watch] + t * dense[2, watch]))
        better = inside & (value > out.peak[rows])
        out.peak[rows[better]] = value[better]
        out.peak_position[rows[better]] = (x + t * h)[better]
