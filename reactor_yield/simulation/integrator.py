"""Adaptive Runge-Kutta 5(4) over many independent initial value problems at once.

Every row (one problem) has its own position and its own step size, and all unfinished rows take
their next step in the same NumPy operations. Rows never influence each other: a row's result does
not depend on which other rows are in the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Callable

Array = NDArray[np.float64]

# Dormand & Prince's coefficients for autonomous systems: row s gives the weights of stages 0..s-1.
_STAGES: tuple[tuple[float, ...], ...] = (
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
)
_SOLUTION = (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84)
_ERROR = (-71 / 57600, 0.0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40)
# Shampine's fourth-order interpolant: y(theta) = y + h * sum_j stage_j * sum_p C[j, p] theta^(p+1).
_DENSE = np.array(
    [
        [1, -8048581381 / 2820520608, 8663915743 / 2820520608, -12715105075 / 11282082432],
        [0, 0, 0, 0],
        [0, 131558114200 / 32700410799, -68118460800 / 10900136933, 87487479700 / 32700410799],
        [0, -1754552775 / 470086768, 14199869525 / 1410260304, -10690763975 / 1880347072],
        [0, 127303824393 / 49829197408, -318862633887 / 49829197408, 701980252875 / 199316789632],
        [0, -282668133 / 205662961, 2019193451 / 616988883, -1453857185 / 822651844],
        [0, 40617522 / 29380423, -110615467 / 29380423, 69997945 / 29380423],
    ]
)
_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Integration:
    """What `integrate` found for `n` rows of `k` components.

    Attributes
    ----------
    final : (k, n) array
        State at the end of the interval; NaN where `failed`.
    peak, peak_position : (n,) array
        Largest value of the watched component along the continuous solution, and where it occurs.
    samples : (p, k, n) or (p, 1, n) array
        State, or the watched component alone, at the `p` requested positions, from the interpolant.
    failed : (n,) bool array
        Rows that needed more than `max_steps` steps or a step below the machine's resolution.
    n_steps : (n,) int array
        Accepted and rejected steps together.
    """

    final: Array
    peak: Array
    peak_position: Array
    samples: Array
    failed: NDArray[np.bool_]
    n_steps: NDArray[np.int64]


def integrate(
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
    max_steps: int = 10_000,
    chunk: int = 2_500,
) -> Integration:
    """Integrate dy/dx = f(y; parameters) from 0 to `length` for every column of `initial`.

    Parameters
    ----------
    derivative : callable (y (k, r), parameters (q, r)) -> (k, r)
        Right-hand side for any `r` rows, each column by itself; may return non-finite values for an
        absurd trial state, whose step is then rejected and shortened.
    initial : (k, n) array
    parameters : (q, n) array
        Constants of each row.
    length
        End of the interval, same for all rows.
    watch
        Component whose peak is wanted.
    positions : (p,) array, increasing, within [0, length]
        Where the state is wanted in between.
    whole_state
        Whether all components are wanted there, or only the watched one.
    rtol, atol
        The error of a step, root mean square over the components of
        ``error / (atol + rtol |y|)``, is kept below 1.
    max_steps
        A row that needs more is given up and marked.
    chunk
        Rows integrated together; smaller ones stay in the processor's cache.

    References
    ----------
    Dormand & Prince (1980), doi:10.1016/0771-050X(80)90013-3; interpolant: Shampine (1986),
    doi:10.1090/S0025-5718-1986-0815836-3.
    """
    n_components, n_rows = initial.shape
    wanted = np.empty(0) if positions is None else np.asarray(positions, dtype=float)
    final = np.full((n_components, n_rows), np.nan)
    peak = np.full(n_rows, np.nan)
    peak_position = np.full(n_rows, np.nan)
    samples = np.full((len(wanted), n_components if whole_state else 1, n_rows), np.nan)
    failed = np.zeros(n_rows, dtype=bool)
    n_steps = np.zeros(n_rows, dtype=np.int64)
    out = Integration(
        final=final,
        peak=peak,
        peak_position=peak_position,
        samples=samples,
        failed=failed,
        n_steps=n_steps,
    )
    asked = _Asked(
        derivative=derivative,
        length=length,
        watch=watch,
        wanted=wanted,
        rtol=rtol,
        atol=atol,
        max_steps=max_steps,
    )
    # A trial step can leave the range of floats; it is rejected below, so it is no reason to warn.
    with np.errstate(all="ignore"):
        for first in range(0, n_rows, chunk):
            rows = np.arange(first, min(first + chunk, n_rows))
            _integrate_chunk(asked, initial, parameters, rows, out)
    return out


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What `integrate` is asked for: see there."""

    derivative: Callable[[Array, Array], Array]
    length: float
    watch: int
    wanted: Array
    rtol: float
    atol: float
    max_steps: int


@dataclass(slots=True, kw_only=True)
class _Unfinished:
    """Rows under way, one entry each: where they stand, and what is known of them so far.

    Attributes
    ----------
    rows : (r,) array
        Their numbers.
    x, h : (r,) arrays
        Position, and the step to try next.
    y, slope : (k, r) arrays
        State and its derivative there.
    p : (q, r) array
        Constants.
    stages : (7, k, r) array
        Derivatives of the step that was tried last.
    peak, peak_position : (r,) arrays
    next_sample : (r,) array
        Which of the wanted positions comes next.
    rejected_before : (r,) array of bool
        Whether the step before was too long.
    """

    rows: NDArray[np.int64]
    x: Array
    h: Array
    y: Array
    slope: Array
    p: Array
    stages: Array
    peak: Array
    peak_position: Array
    next_sample: NDArray[np.int64]
    rejected_before: NDArray[np.bool_]

    def keep(self, kept: NDArray[np.bool_]) -> None:
        """Go on with some of the rows only."""
        self.rows, self.next_sample = self.rows[kept], self.next_sample[kept]
        self.x, self.h = self.x[kept], self.h[kept]
        self.peak, self.peak_position = self.peak[kept], self.peak_position[kept]
        self.rejected_before = self.rejected_before[kept]
        self.y, self.slope, self.p = (
            np.ascontiguousarray(a[:, kept]) for a in (self.y, self.slope, self.p)
        )
        self.stages = np.empty((7, *self.y.shape))


def _begin(
    asked: _Asked, initial: Array, parameters: Array, rows: NDArray[np.int64]
) -> _Unfinished:
    """Put rows at the beginning of the interval."""
    y = np.ascontiguousarray(initial[:, rows])
    p = np.ascontiguousarray(parameters[:, rows])
    slope = asked.derivative(y, p)
    return _Unfinished(
        rows=rows,
        x=np.zeros(len(rows)),
        h=_first_step(
            asked.derivative, y, slope, p, length=asked.length, rtol=asked.rtol, atol=asked.atol
        ),
        y=y,
        slope=slope,
        p=p,
        stages=np.empty((7, *y.shape)),
        peak=y[asked.watch].copy(),
        peak_position=np.zeros(len(rows)),
        next_sample=np.zeros(len(rows), dtype=np.int64),
        rejected_before=np.zeros(len(rows), dtype=bool),
    )


def _integrate_chunk(
    asked: _Asked,
    initial: Array,
    parameters: Array,
    rows: NDArray[np.int64],
    out: Integration,
) -> None:
    """Integrate the given rows together and write what is found into `out`."""
    now = _begin(asked, initial, parameters, rows)
    for step in range(asked.max_steps):
        last = _step(asked, now, out)
        stuck = ~last & (now.h < 1e-14 * asked.length)
        done = last | stuck
        if done.any():
            finished = now.rows[last]
            out.final[:, finished] = now.y[:, last]
            out.peak[finished] = now.peak[last]
            out.peak_position[finished] = now.peak_position[last]
            out.failed[now.rows[stuck]] = True
            out.n_steps[now.rows[done]] = step + 1
            if done.all():
                return
            now.keep(~done)
    out.failed[now.rows] = True
    out.n_steps[now.rows] = asked.max_steps


def _step(asked: _Asked, now: _Unfinished, out: Integration) -> NDArray[np.bool_]:
    """Try one step of each row, and move those that are exact enough; say which have arrived.

    A step is accepted if its estimated error, relative to the tolerances, is at most 1; the next
    one is as long as the error allows (Hairer, Norsett & Wanner 1993, II.4).
    """
    x, y, stages = now.x, now.y, now.stages
    h = np.minimum(now.h, asked.length - x)
    y_new, error = _try_step(asked, now, h)
    accepted = error <= 1.0
    x_new = np.where(accepted, x + h, x)
    last = accepted & (h >= asked.length - x)
    x_new[last] = asked.length

    if len(asked.wanted):
        whole = out.samples.shape[1] == len(y)
        components = slice(None) if whole else slice(asked.watch, asked.watch + 1)
        _interpolate_samples(
            asked.wanted,
            now.next_sample,
            accepted,
            x,
            x_new,
            h,
            y[components],
            stages[:, components],
            now.rows,
            out.samples,
        )
    _update_peak(asked.watch, accepted, x, h, y, y_new, stages, now.peak, now.peak_position)

    now.y = np.where(accepted, y_new, y)
    now.slope = np.where(accepted, stages[6], now.slope)
    growth = _SAFETY * np.maximum(error, 1e-10) ** -0.2
    # A step that had to be shortened is not lengthened again at once.
    now.h = h * np.clip(growth, _SHRINK, np.where(now.rejected_before | ~accepted, 1.0, _GROW))
    now.rejected_before = ~accepted
    now.x = x_new
    return last


def _try_step(asked: _Asked, now: _Unfinished, h: Array) -> tuple[Array, Array]:
    """Compute the stages of a step, the state after it, and its error (Dormand & Prince 1980)."""
    y, p, stages = now.y, now.p, now.stages
    stages[0] = now.slope
    for s, weights in enumerate(_STAGES, start=1):
        stages[s] = asked.derivative(y + h * _combine(weights, stages), p)
    y_new = y + h * _combine(_SOLUTION, stages)
    stages[6] = asked.derivative(y_new, p)
    scale = asked.atol + asked.rtol * np.maximum(np.abs(y), np.abs(y_new))
    ratio = h * _combine(_ERROR, stages) / scale
    error = np.sqrt(np.einsum("ij,ij->j", ratio, ratio) / len(ratio))
    return y_new, np.where(np.isfinite(error), error, np.inf)


def _combine(weights: tuple[float, ...], stages: Array) -> Array:
    """Weighted sum of the first stages, (k, r)."""
    total = weights[0] * stages[0]
    for weight, stage in zip(weights[1:], stages[1:], strict=False):
        if weight:
            total += weight * stage
    return total


def _first_step(
    derivative: Callable[[Array, Array], Array],
    y: Array,
    slope: Array,
    p: Array,
    *,
    length: float,
    rtol: float,
    atol: float,
) -> Array:
    """Step size per row from the first two derivatives (Hairer, Norsett & Wanner 1993, II.4)."""
    scale = atol + rtol * np.abs(y)
    d0 = np.sqrt(np.mean((y / scale) ** 2, axis=0))
    d1 = np.sqrt(np.mean((slope / scale) ** 2, axis=0))
    h0 = np.where((d0 < 1e-5) | (d1 < 1e-5), 1e-6, 0.01 * d0 / np.maximum(d1, 1e-300))
    h0 = np.minimum(h0, length)
    bend = derivative(y + h0 * slope, p) - slope
    d2 = np.sqrt(np.mean((bend / scale) ** 2, axis=0)) / h0
    steepest = np.maximum(d1, d2)
    h1 = np.where(
        steepest <= 1e-15,
        np.maximum(1e-6, h0 * 1e-3),
        (0.01 / np.maximum(steepest, 1e-300)) ** 0.2,
    )
    h = np.minimum(np.minimum(100 * h0, h1), length)
    return np.where(np.isfinite(h) & (h > 0), h, 1e-6 * length)


def _interpolant(stages: Array, chosen: NDArray[np.int64], component: int | None = None) -> Array:
    """Coefficients of theta^1..theta^4: (4, chosen), or (4, k, chosen) for all components."""
    if component is None:
        return np.einsum("jp,jkc->pkc", _DENSE, stages[:, :, chosen])
    return np.einsum("jp,jc->pc", _DENSE, stages[:, component, chosen])


def _interpolate_samples(
    wanted: Array,
    next_sample: NDArray[np.int64],
    accepted: NDArray[np.bool_],
    x: Array,
    x_new: Array,
    h: Array,
    y: Array,
    stages: Array,
    rows: NDArray[np.int64],
    samples: Array,
) -> None:
    """Write the state at every requested position that the accepted steps have passed."""
    while True:
        position = wanted[np.minimum(next_sample, len(wanted) - 1)]
        due = accepted & (next_sample < len(wanted)) & (position <= x_new)
        chosen = np.flatnonzero(due)
        if not len(chosen):
            return
        theta = np.minimum((position[chosen] - x[chosen]) / h[chosen], 1.0)
        poly = _interpolant(stages, chosen)
        rise = theta * (poly[0] + theta * (poly[1] + theta * (poly[2] + theta * poly[3])))
        samples[next_sample[chosen], :, rows[chosen]] = (y[:, chosen] + h[chosen] * rise).T
        next_sample[chosen] += 1


def _update_peak(
    watch: int,
    accepted: NDArray[np.bool_],
    x: Array,
    h: Array,
    y: Array,
    y_new: Array,
    stages: Array,
    peak: Array,
    peak_position: Array,
) -> None:
    """Raise the running peak by each accepted step's end and by a maximum inside the step.

    The watched component rises into the step and falls out of it exactly when its slope changes
    from positive to negative; the interpolant's slope, a cubic, is then zero once in between.
    """
    higher = accepted & (y_new[watch] > peak)
    peak[higher] = y_new[watch][higher]
    peak_position[higher] = (x + h)[higher]

    turning = np.flatnonzero(accepted & (stages[0, watch] > 0) & (stages[6, watch] < 0))
    if not len(turning):
        return
    poly = _interpolant(stages, turning, watch)
    low, high = np.zeros(len(turning)), np.ones(len(turning))
    for _ in range(26):  # bisection; the value at a maximum is exact to the square of this
        theta = 0.5 * (low + high)
        rate = poly[0] + theta * (2 * poly[1] + theta * (3 * poly[2] + theta * 4 * poly[3]))
        rising = rate > 0
        low, high = np.where(rising, theta, low), np.where(rising, high, theta)
    rise = theta * (poly[0] + theta * (poly[1] + theta * (poly[2] + theta * poly[3])))
    value = y[watch, turning] + h[turning] * rise
    better = value > peak[turning]
    peak[turning[better]] = value[better]
    peak_position[turning[better]] = (x + h * 0)[turning[better]] + (theta * h[turning])[better]
