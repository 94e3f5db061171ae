"""What a plant can make of its products, and what it provably cannot.

Of two products the boundary itself, walked line by line, each with its proof; more are enclosed
(`refinement`).
"""

from __future__ import annotations

import itertools
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from tqdm import tqdm

from stnopt.arguments import (
    COUNT,
    NAMES,
    PATH,
    POSITIVE,
    TRUTH,
    WHOLE,
    check_arguments,
    float_array,
    optional,
)
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.oracle import Reach, TargetOracle
from stnopt.feasibility.refinement import Limit, Refinement, halfspaces_below, is_below
from stnopt.feasibility.samples import FEASIBLE, INFEASIBLE, UNDECIDED, wilson_interval
from stnopt.files import write_text
from stnopt.plant.network import Network
from stnopt.scheduling.schedule import Batch, Schedule
from stnopt.scheduling.search.find_schedule import suggest_events
from stnopt.solvers.solve import Status

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray


#: Gap of every solve that proves a piece of the boundary.
_PROOF_GAP = 1e-6
_FORMAT = "stnopt certified region 1"
#: Targets from which the undecided share is estimated, three or more products; labelled in parts.
_N_VOLUME, _PART = 200_000, 10_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CertifiedRegion:
    """Targets that a plant can meet at least, and those that it provably cannot.

    Attributes
    ----------
    products : tuple of str, length p
    segments : (k, 2, 2) array, amount
        Two products: lines along which schedules are known; what lies below one is feasible.
    pieces : tuple of (k, p) arrays, amount
        Three or more: amounts of checked schedules; what lies below a mean of one piece's rows is
        feasible.
    limits : tuple of Limit
        What is proven out of reach.
    upper : (p,) array, amount
        The most of every product: corner of the box that `gap` refers to.
    gap : float
        Undecided share of that box: exact for two products, else estimated from `_N_VOLUME`
        uniform targets.
    gap_interval : (float, float) or None
        95 % Wilson interval of an estimated gap.
    n_solves : int
        MILPs solved, every one counted; LPs of a fixed structure are not.
    points : DataFrame
        What the schedules make, one column per product; for two products, the boundary's vertices.
    schedules : tuple of Schedule
        The schedule behind each row of `points`.
    scope : mapping
        What the proofs hold for: plant, fingerprint, horizon, event points and span.
    """

    products: tuple[str, ...]
    segments: NDArray[np.float64]
    limits: tuple[Limit, ...]
    upper: NDArray[np.float64]
    gap: float
    n_solves: int
    points: pd.DataFrame
    schedules: tuple[Schedule, ...]
    scope: dict[str, str | float | int]
    pieces: tuple[NDArray[np.float64], ...] = ()
    gap_interval: tuple[float, float] | None = None
    _halfspaces: tuple[tuple[NDArray[np.float64], NDArray[np.float64]], ...] = field(
        init=False, repr=False
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "_halfspaces", tuple(map(halfspaces_below, self.pieces)))

    @property
    def vertices(self) -> NDArray[np.float64]:
        """(k, 2) corners of the feasible area in order, from one axis to the other."""
        if len(self.products) != 2:
            raise UnsupportedModelError(
                f"vertices in order exist for two products, not for {list(self.products)}; see"
                " `pieces`"
            )
        step = 1e-9 * float(self.upper.max())
        corners = []
        for x in _distinct(np.append(self.segments[:, :, 0].ravel(), 0.0), 1e3 * step):
            at, after = np.maximum(_highest(self.segments, np.array([x, x + step])), 0.0)
            corners += [(x, at), (x, after)]  # two where the boundary drops
        kept = corners[:1]
        for corner in corners[1:]:
            if np.abs(np.subtract(corner, kept[-1])).max() > 1e-5 * self.upper.max():
                kept.append(corner)
        return np.array(kept)

    def label(self, points: pd.DataFrame | ArrayLike) -> NDArray[np.int64]:
        """Label targets: -1 feasible, +1 infeasible, 0 undecided.

        Parameters
        ----------
        points : (n, p) array or DataFrame with the products as columns, amount
        """
        if isinstance(points, pd.DataFrame):
            missing = [p for p in self.products if p not in points]
            if missing:
                raise InvalidInputError(f"points: missing columns {missing}, found {list(points)}")
            points = points[list(self.products)]
        try:
            z = np.atleast_2d(float_array(points))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInputError(f"points: expected numbers: {error}") from error
        p = len(self.products)
        if z.shape[1] != p:
            raise InvalidInputError(f"points: expected shape (n, {p}), found {z.shape}")
        labels = np.full(len(z), UNDECIDED)
        if p == 2:
            labels[z[:, 1] <= _highest(self.segments, z[:, 0]) + 1e-9] = FEASIBLE
        for halfspaces in self._halfspaces:
            rows = np.flatnonzero(labels == UNDECIDED)
            labels[rows[is_below(halfspaces, z[rows])]] = FEASIBLE
        # Rounding decides nothing: beyond a limit means by more than the replay's tolerance.
        slack = 1e-6 * max(float(self.upper.max()), 1.0)
        for limit in self.limits:
            labels[(labels == UNDECIDED) & limit.excludes(z, slack)] = INFEASIBLE
        return labels

    def to_json(self, path: Path | str | None = None) -> str:
        """Write all of it as JSON, exact to the last bit, and return the text."""
        content = {
            "format": _FORMAT,
            "products": list(self.products),
            "segments": self.segments.tolist(),
            "pieces": [piece.tolist() for piece in self.pieces],
            "limits": [asdict(limit) for limit in self.limits],
            "upper": self.upper.tolist(),
            "gap": self.gap,
            "gap_interval": self.gap_interval,
            "n_solves": self.n_solves,
            "points": self.points.to_numpy().tolist(),
            "schedules": [
                {
                    "horizon": each.horizon,
                    "final_stock": dict(each.final_stock),
                    "batches": [asdict(batch) for batch in each.batches],
                }
                for each in self.schedules
            ],
            "scope": self.scope,
        }
        text = json.dumps(content, allow_nan=False)
        if path is not None:
            write_text(path, text + "\n")
        return text

    @classmethod
    def load(cls, source: Path | str) -> CertifiedRegion:
        """Read what `to_json` wrote (a file, or the text itself); nothing in it is executed.

        Raises
        ------
        InvalidInputError
            If it is not such a region.
        """
        check_arguments(source=(source, PATH))
        is_text = isinstance(source, str) and source.lstrip().startswith("{")
        where = "certified region" if is_text else f"file {str(source)!r}"
        try:
            text = str(source) if is_text else Path(source).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            raise InvalidInputError(f"source: {where} cannot be read: {error}") from error
        try:
            content = json.loads(text)
            if content["format"] != _FORMAT:
                raise InvalidInputError(
                    f"{where}: expected 'format': {_FORMAT!r}, got {content['format']!r}"
                )
            products = tuple(content["products"])
            interval = content["gap_interval"]
            return cls(
                products=products,
                segments=np.array(content["segments"], dtype=float).reshape(-1, 2, 2),
                pieces=tuple(
                    np.array(each, dtype=float).reshape(-1, len(products))
                    for each in content["pieces"]
                ),
                limits=tuple(
                    Limit(
                        lower=tuple(map(float, each["lower"])),
                        weights=tuple(map(float, each["weights"])),
                        bound=float(each["bound"]),
                    )
                    for each in content["limits"]
                ),
                upper=np.array(content["upper"], dtype=float).reshape(len(products)),
                gap=float(content["gap"]),
                gap_interval=None if interval is None else (interval[0], interval[1]),
                n_solves=int(content["n_solves"]),
                points=pd.DataFrame(content["points"], columns=list(products), dtype=float),
                schedules=tuple(
                    Schedule(
                        batches=tuple(Batch(**batch) for batch in each["batches"]),
                        final_stock=each["final_stock"],
                        horizon=each["horizon"],
                    )
                    for each in content["schedules"]
                ),
                scope=dict(content["scope"]),
            )
        except (ValueError, KeyError, TypeError, IndexError) as error:
            if isinstance(error, InvalidInputError):
                raise
            raise InvalidInputError(
                f"{where}: not a certified region in JSON: {type(error).__name__}: {error}"
            ) from error


def _distinct(values: NDArray[np.float64], apart: float) -> NDArray[np.float64]:
    """Sorted values; of those closer than `apart`, the largest (where the boundary drops)."""
    ordered = np.sort(values)
    return ordered[np.append(np.diff(ordered) > apart, True)]


def _highest(segments: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the largest known amount of the second product with at least x of the first."""
    best = np.full(len(x), -np.inf)
    for (x1, y1), (x2, y2) in segments:  # from upper left to lower right
        along = np.clip((np.maximum(x, x1) - x1) / (x2 - x1) if x2 > x1 else 0.0, 0.0, 1.0)
        best = np.where(x <= x2, np.maximum(best, y1 + along * (y2 - y1)), best)
    return best


def trace_frontier(
    network: Network,
    *,
    horizon: float,
    products: Sequence[str],
    tolerance: float = 1e-3,
    max_solves: int | None = None,
    n_events: int | None = None,
    max_span: int | None = None,
    seed: int = 0,
    progress: bool = False,
) -> CertifiedRegion:
    """Trace the boundary of the targets (at least so much of each) that a plant can meet.

    With two products, the walk goes from the most of the second product to the most of the first.
    From a schedule on the boundary, its structure (the binaries) reaches along straight lines,
    found by LPs; one MILP shows that nothing lies beyond a line, or finds what does. Where a
    structure ends, one MILP finds the boundary's next point.

    With three or more, the region is enclosed from inside (what lies below combinations of checked
    schedules) and outside (what MILPs prove to be out of reach), each MILP where it is expected to
    settle most, until less than `tolerance` of the box is undecided.

    Parameters
    ----------
    network : Network
    horizon : float
        In the plant's time unit.
    products : sequence of str
        Two states or more.
    tolerance : float
        Undecided share of the box that is allowed. Two products: slivers a hundredth as wide are
        not pursued. More: it is enough when an interval for fresh targets lies below.
    max_solves : int, optional
        MILPs after which it stops, with what is proven until then.
    n_events, max_span : int, optional
        Event points and span; left out, those of the largest production are taken.
    seed : int
        Of the targets from which questions are chosen; without effect for two products.
    progress : bool
        Show a progress bar.

    Returns
    -------
    CertifiedRegion
        Certified for these event points.

    Raises
    ------
    UnsupportedModelError
        Fewer than two products.
    InvalidInputError
        A product that the plant does not produce, or of which it can make nothing.

    References
    ----------
    The boxed line method of Perini, Boland, Pecin & Savelsbergh (2020), INFORMS J. Comput. 32, 16,
    doi:10.1287/ijoc.2019.0887, whose walk between line segments this follows in spirit.
    """
    check_arguments(
        network=(network, Network),
        horizon=(horizon, POSITIVE),
        products=(products, NAMES),
        tolerance=(tolerance, POSITIVE),
        max_solves=(max_solves, optional(COUNT)),
        n_events=(n_events, optional(COUNT)),
        max_span=(max_span, optional(WHOLE)),
        seed=(seed, WHOLE),
        progress=(progress, TRUTH),
    )
    names = tuple(str(p) for p in products)
    if len(names) < 2:
        raise UnsupportedModelError(
            f"trace_frontier takes two products or more, got {len(names)}; "
            "label_targets labels targets of any number"
        )
    if len(set(names)) < len(names):
        twice = sorted({p for p in names if names.count(p) > 1})
        raise InvalidInputError(f"trace_frontier takes different products, got {twice} twice")
    if n_events is None or max_span is None:
        n_events, max_span = suggest_events(
            network, horizon=horizon, n_events=n_events, max_span=max_span
        )
    oracle = TargetOracle(network, names, horizon=horizon, n_events=n_events, max_span=max_span)
    scope: dict[str, str | float | int] = {
        "plant": network.name,
        "fingerprint": network.fingerprint,
        "horizon": float(horizon),
        "sense": "at_least",
        "n_events": n_events,
        "max_span": max_span,
        "amount_unit": network.amount_unit,
    }
    with tqdm(total=100, unit="%", disable=not progress) as bar:
        if len(names) > 2:
            return _refine(oracle, tolerance, max_solves, seed, scope, bar)
        walk = _Walk(oracle, tolerance, max_solves)
        walk.run(bar)
    segments = np.array(walk.segments)
    reaches = walk.corners
    return CertifiedRegion(
        products=names,
        segments=segments,
        limits=tuple(walk.limits),
        upper=walk.upper,
        gap=_undecided_share(segments, walk.limits, walk.upper),
        n_solves=walk.n_solves,
        points=pd.DataFrame([r.amounts for r in reaches], columns=list(names)),
        schedules=tuple(oracle.schedule(r) for r in reaches),
        scope=scope,
    )


def _refine(
    oracle: TargetOracle,
    tolerance: float,
    max_solves: int | None,
    seed: int,
    scope: dict[str, str | float | int],
    bar: tqdm,
) -> CertifiedRegion:
    """Enclose three or more products, and estimate what is left on targets drawn afresh."""
    work = Refinement(oracle, tolerance, max_solves, seed)
    work.run(bar)
    region = CertifiedRegion(
        products=oracle.products,
        segments=np.zeros((0, 2, 2)),
        pieces=tuple(work.pieces),
        limits=tuple(work.limits),
        upper=work.upper,
        gap=1.0,
        n_solves=work.n_solves,
        points=pd.DataFrame([r.amounts for r in work.reaches], columns=list(oracle.products)),
        schedules=tuple(oracle.schedule(r) for r in work.reaches),
        scope=scope,
    )
    rng, n_open = np.random.default_rng([seed, 1]), 0
    for _ in range(_N_VOLUME // _PART):
        n_open += int(np.sum(region.label(work.upper * rng.random((_PART, work.p))) == UNDECIDED))
    return replace(region, gap=n_open / _N_VOLUME, gap_interval=wilson_interval(n_open, _N_VOLUME))


class _Walk:
    """The boundary so far, from upper left to lower right."""

    def __init__(
        self, oracle: TargetOracle, tolerance: float, max_solves: int | None = None
    ) -> None:
        self.oracle, self.tolerance = oracle, tolerance
        self.max_solves = np.inf if max_solves is None else max_solves
        self.segments: list[NDArray[np.float64]] = []
        self.limits: list[Limit] = []
        self.corners: list[Reach] = []
        self.n_solves = 0
        self.upper = np.zeros(2)
        self.sliver = np.zeros(2)

    def run(self, bar: tqdm) -> None:
        """Find both ends, then walk from one to the other."""
        top, right = self._extreme(1), self._extreme(0)
        self.upper = np.array([right.amounts[0], top.amounts[1]])
        if self.upper.min() <= 0:
            nothing = self.oracle.products[int(np.argmin(self.upper))]
            raise InvalidInputError(
                f"product {nothing!r}: the plant can make none of it within {self.oracle.horizon}"
            )
        self.sliver = 1e-2 * self.tolerance * self.upper
        self._add_segment(np.array([0.0, top.amounts[1]]), top.amounts)
        ends = [right]
        here = top
        self.corners.append(here)
        while ends and self.n_solves + 2 <= self.max_solves:
            bar.update(round(100 * here.amounts[0] / self.upper[0]) - bar.n)
            bar.set_postfix(solves=self.n_solves)
            if np.any((ends[-1].amounts - here.amounts) * (1, -1) <= self.sliver):
                here = self._arrive(here, ends.pop())
                continue
            onward = self._next_corner(here, 0, (here.amounts[0], ends[-1].amounts[1]))
            if onward is None:
                here = self._jump(here, ends[-1])
                self.corners.append(here)
                continue
            beyond = self._beyond(here, onward, ends[-1])
            if beyond is None:
                self._add_segment(here.amounts, onward.amounts)
                here = onward
                self.corners.append(here)
            else:
                ends += self._detour(here, onward, beyond)
        while ends:  # the budget is spent: these points are known, what lies between is not
            here = self._arrive(here, ends.pop())
        self._add_segment(right.amounts, np.array([right.amounts[0], 0.0]))

    def _extreme(self, axis: int) -> Reach:
        """Most of one product, and then of the other."""
        weights = np.eye(2)[axis]
        first = self._prove(np.zeros(2), weights)
        lower = np.zeros(2)
        lower[axis] = first.amounts[axis] - 1e-8 * self.oracle.scale
        return self._prove(lower, 1 - weights, keep=first)

    def _prove(
        self, lower: NDArray[np.float64], weights: NDArray[np.float64], keep: Reach | None = None
    ) -> Reach:
        """Maximise ``weights @ amounts`` above `lower` and remember the limit that this proves."""
        names = self.oracle.products
        result, reach = self.oracle.maximise(
            dict(zip(names, weights, strict=True)),
            dict(zip(names, lower, strict=True)),
            relative_gap=_PROOF_GAP,
        )
        self.n_solves += result.n_solves
        if result.status is Status.INFEASIBLE and keep is not None:
            return keep
        if reach is None or result.bound is None:
            raise InvalidInputError(
                f"no schedule makes at least {dict(zip(names, lower, strict=True))} "
                f"within {self.oracle.horizon}: {result.message}"
            )
        if not self.oracle.is_valid(reach):
            raise AssertionError(f"the replay refuses a schedule of the model: {reach.runs}")
        self.limits.append(
            Limit(lower=tuple(lower), weights=tuple(weights), bound=float(result.bound))
        )
        return reach

    def _beyond(self, here: Reach, onward: Reach, end: Reach) -> Reach | None:
        """Look for a schedule beyond the line from here onward; without one, the line is proven."""
        run, drop = (onward.amounts - here.amounts) * (1, -1)
        weights = np.array([drop, run]) / (drop + run)
        # Just above the end of the stretch, or the end itself would be found beyond the line.
        level = max(onward.amounts[1], end.amounts[1] + self.sliver[1] / 2)
        best = self._prove(np.array([here.amounts[0], level]), weights, keep=here)
        found = weights @ (best.amounts - here.amounts) > 10 * _PROOF_GAP * self.upper.max()
        return best if found else None

    def _detour(self, here: Reach, onward: Reach, beyond: Reach) -> list[Reach]:
        """Return the points to visit before the present end, the nearest last.

        The structure beyond the line is followed backwards: if it starts beyond the line as well,
        its start comes first; else the two lines cross, and the boundary turns at the crossing.
        """
        lower = (here.amounts[0], beyond.amounts[1])
        back = self._next_corner(beyond, 1, lower)
        if back is None:
            return [beyond]
        along = onward.amounts - here.amounts
        normal = np.array([-along[1], along[0]])
        height = normal @ (back.amounts - here.amounts)
        if height > 0:
            return [beyond, back]
        share = height / (height - normal @ (beyond.amounts - here.amounts))
        return [beyond, self.oracle.combine([back, beyond], np.array([1 - share, share]))]

    def _next_corner(self, here: Reach, axis: int, lower: Sequence[float]) -> Reach | None:
        """Return the end of the straight line along which the structure of `here` reaches."""
        corner = self.oracle.follow(here, axis, np.array(lower), float(self.sliver[axis]))
        if corner is None or not self._clean_between(here, corner):
            return None
        return corner

    def _jump(self, here: Reach, end: Reach) -> Reach:
        """Find the next point of the boundary where no line leads on."""
        lower = np.array([here.amounts[0] + self.sliver[0] / 2, end.amounts[1]])
        best = self._prove(lower, np.array([0.0, 1.0]), keep=end)
        level = np.array([here.amounts[0], best.amounts[1] - 1e-8 * self.oracle.scale])
        best = self._prove(level, np.array([1.0, 0.0]), keep=best)
        self._add_segment(np.array([here.amounts[0], best.amounts[1]]), best.amounts)
        return best

    def _arrive(self, here: Reach, end: Reach) -> Reach:
        """Close the last sliver before a point that was found ahead."""
        self._add_segment(np.array([here.amounts[0], end.amounts[1]]), end.amounts)
        self.corners.append(end)
        return end

    def _add_segment(self, start: NDArray[np.float64], stop: NDArray[np.float64]) -> None:
        self.segments.append(np.array([start, stop], dtype=float))

    def _clean_between(self, a: Reach, b: Reach) -> bool:
        """Whether every convex combination of two schedules of one structure passes the replay.

        Between two schedules every time and amount changes linearly. As long as the order of their
        events stays the same, stocks and draws are linear and stored amounts convex in the weights,
        so that a stretch is clean if its ends are: it is enough to replay just inside the ends of
        every stretch between changes of order.
        """
        times = [self.oracle.moments(reach) for reach in (a, b)]
        apart = [t[:, None] - t[None, :] for t in times]
        upper = np.triu_indices(len(times[0]), 1)
        first, last = apart[0][upper], apart[1][upper]
        crossing = first * last < 0
        at = first[crossing] / (first[crossing] - last[crossing])
        stops = np.unique(np.concatenate([[0.0], np.round(at, 6), [1.0]]))
        inside = 1e-6
        for low, high in itertools.pairwise(stops):
            for share in (low + inside, (low + high) / 2, high - inside):
                combination = self.oracle.combine([a, b], np.array([1 - share, share]))
                if not self.oracle.is_valid(combination):
                    return False
        return True


def _undecided_share(
    segments: NDArray[np.float64], limits: Sequence[Limit], upper: NDArray[np.float64]
) -> float:
    """Integrate what lies between the known and the excluded, as a share of the box.

    Within a strip between two breakpoints both sides are straight lines or steps, so that 3-point
    strips with breakpoints at every corner and crossing are exact.
    """
    breaks = {0.0, float(upper[0])}
    breaks.update(segments[:, :, 0].ravel().tolist())
    breaks.update(limit.lower[0] for limit in limits)
    lines = [limit for limit in limits if limit.weights[1] > 0]
    for limit in limits:
        w = limit.weights
        for level in [other.lower[1] for other in limits] + [float(upper[1])]:
            if w[0] > 0:
                breaks.add((limit.bound - w[1] * level) / w[0])
        for other in lines:
            v = other.weights
            cross = w[0] * v[1] - v[0] * w[1]
            if w[1] > 0 and abs(cross) > 1e-12:
                breaks.add((limit.bound * v[1] - other.bound * w[1]) / cross)
    xs = np.array(sorted(x for x in breaks if 0 <= x <= upper[0]))
    undecided = 0.0
    for low, high in itertools.pairwise(xs):
        if high - low < 1e-12:
            continue
        inner = low + (high - low) * np.array([1e-9, 1 - 1e-9])
        known = np.clip(_highest(segments, inner), 0.0, upper[1])
        open_heights = [
            _open_height(limits, x, y, upper[1]) for x, y in zip(inner, known, strict=True)
        ]
        undecided += (high - low) * float(np.mean(open_heights))
    return undecided / float(np.prod(upper))


def _open_height(limits: Sequence[Limit], x: float, known: float, top: float) -> float:
    """Length of the part of a vertical line above `known` that no limit excludes."""
    excluded = []
    for limit in limits:
        if x < limit.lower[0]:
            continue
        w, start = limit.weights, limit.lower[1]
        if w[1] > 0:
            start = max(start, (limit.bound - w[0] * x) / w[1])
        elif w[0] * x <= limit.bound:
            continue
        excluded.append(start)  # everything above is excluded: limits are closed upwards
    return max(min([top, *excluded]) - known, 0.0)
