"""What a plant can make of its products, and what it provably cannot.

Of two products the boundary itself, walked line by line, each with its proof; more are enclosed
(`refinement`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.stats import qmc

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
from stnopt.feasibility.any_schedule import AnySchedule, why_not_any_schedule
from stnopt.feasibility.boundary_walk import BoundaryWalk, highest, undecided_share
from stnopt.feasibility.choose_events import choose_events
from stnopt.feasibility.oracle import TargetOracle
from stnopt.feasibility.refinement import Limit, Refinement, halfspaces_below, is_below
from stnopt.feasibility.region_file import checksum_of, parse_strictly, read, shown
from stnopt.feasibility.samples import FEASIBLE, INFEASIBLE, UNDECIDED, wilson_interval
from stnopt.feasibility.scope import ask_about, scope_of
from stnopt.files import write_text
from stnopt.plant.network import Network
from stnopt.plant.problem import Problem
from stnopt.plant.state import PlantState
from stnopt.progress import ProgressLine
from stnopt.scheduling.checks import check_targets
from stnopt.scheduling.schedule import Batch, Schedule

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from stnopt.scheduling.search.question import Question

_FORMAT = "stnopt certified region 2"
#: Without a checksum.
_OLD_FORMAT = "stnopt certified region 1"
#: Targets from which the undecided share is estimated, three or more products; labelled in parts.
_N_VOLUME, _PART = 200_000, 10_000
#: Nodes of a solve where event points are not given: then all takes bounded work.
_NODES = 20_000
#: Targets that say where on a long horizon schedules are sought (a power of two).
_N_OUTLINE = 1024


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

    def __repr__(self) -> str:
        return (
            f"CertifiedRegion({', '.join(self.products)}: undecided share {self.gap:.2e}, "
            f"{len(self.points)} points, {self.n_solves} solves)"
        )

    def _repr_html_(self) -> str:
        """Return the frontier, as notebooks show it."""
        from stnopt.page.notebook import show_certified

        return show_certified(self)

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
            at, after = np.maximum(highest(self.segments, np.array([x, x + step])), 0.0)
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
            labels[z[:, 1] <= highest(self.segments, z[:, 0]) + 1e-9] = FEASIBLE
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
        text = json.dumps(content | {"checksum": checksum_of(content)}, allow_nan=False)
        if path is not None:
            write_text(path, text + "\n")
        return text

    @classmethod
    def load(cls, source: Path | str) -> CertifiedRegion:
        """Read what `to_json` wrote (a file, or the text itself); nothing in it is executed.

        Raises
        ------
        InvalidInputError
            If there is no such file, or it is not such a region, or was damaged.
        """
        check_arguments(source=(source, PATH))
        text, where = read(source)
        content = parse_strictly(text, where)
        if not isinstance(content, dict) or content.get("format") not in (_FORMAT, _OLD_FORMAT):
            found = content.get("format") if isinstance(content, dict) else type(content).__name__
            raise InvalidInputError(f"{where}: expected 'format': {_FORMAT!r}, got {shown(found)}")
        stated = content.pop("checksum", None)
        is_old = content["format"] == _OLD_FORMAT and stated is None
        if not is_old and stated != checksum_of(content):
            raise InvalidInputError(
                f"{where}: the checksum differs: the region was damaged or edited after it was"
                " written; take it from its source again"
            )
        try:
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


def trace_frontier(
    network: Network,
    *,
    horizon: float | None = None,
    problem: Problem | None = None,
    start: PlantState | None = None,
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

    On a long horizon, where neither event points nor span are given, schedules are constructed and
    sums over the horizon bound what any schedule makes; the gap is what lies between.

    Parameters
    ----------
    network : Network
    horizon : float, optional
        In the plant's time unit; left out, the problem's.
    problem : Problem, optional
        Deliveries and orders that every schedule serves, horizon and date, as in `label_targets`;
        neither its objective nor its sense counts.
    start : PlantState, optional
        The plant at time 0. The region carries it.
    products : sequence of str
        Two states or more.
    tolerance : float
        Undecided share of the box that is allowed. Two products: slivers a hundredth as wide are
        not pursued. More: it is enough when an interval for fresh targets lies below.
    max_solves : int, optional
        MILPs after which it stops, with what is proven until then.
    n_events, max_span : int, optional
        Event points and span; left out, they are chosen within a limited number of nodes by the
        largest production, and every solve is limited as well.
    seed : int
        Of the targets from which questions are chosen; without effect for two products.
    progress : bool
        Show a progress line from the start; else it is shown after ten seconds.

    Returns
    -------
    CertifiedRegion
        Certified for these event points; on a long horizon that gave none, for any schedule. After
        Ctrl-C, with ``scope["stopped"] == "interrupted"``, what was certified until then.

    Raises
    ------
    UnsupportedModelError
        Fewer than two products.
    InvalidInputError
        A product that the plant does not produce, or of which it can make nothing.
    KeyboardInterrupt
        When it came before the ends of the boundary were known.

    References
    ----------
    The boxed line method of Perini, Boland, Pecin & Savelsbergh (2020), INFORMS J. Comput. 32, 16,
    doi:10.1287/ijoc.2019.0887, whose walk between line segments this follows in spirit.
    """
    check_arguments(
        network=(network, Network),
        horizon=(horizon, optional(POSITIVE)),
        problem=(problem, optional(Problem)),
        start=(start, optional(PlantState)),
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
    question = ask_about(network, horizon=horizon, problem=problem, start=start, sense="at_least")
    check_targets(network, dict.fromkeys(names, 0.0))
    given = n_events is not None and max_span is not None
    with ProgressLine("trace_frontier", "%", progress=progress, limited=False, total=100) as line:
        if n_events is None and max_span is None and why_not_any_schedule(question) is None:
            return _outline(question, names, seed, line)
        if n_events is None or max_span is None:
            n_events, max_span, _ = choose_events(
                question,
                n_events=n_events,
                max_span=max_span,
                report=lambda what: line.move(0, lambda: what),
            )
        oracle = TargetOracle(question, names, n_events=n_events, max_span=max_span)
        scope = scope_of(question, require=None, n_events=n_events, max_span=max_span)
        del scope["require"]  # a region of its own has no rule
        if len(names) > 2:
            return _refine(oracle, tolerance, max_solves, seed, scope, line)
        return _walk(oracle, tolerance, max_solves, None if given else _NODES, scope, line)


def _walk(
    oracle: TargetOracle,
    tolerance: float,
    max_solves: int | None,
    node_limit: int | None,
    scope: dict[str, Any],
    line: ProgressLine,
) -> CertifiedRegion:
    """Walk along the boundary of two products."""
    walk = BoundaryWalk(oracle, tolerance, max_solves, node_limit)
    walk.run(line)
    segments = np.array(walk.segments)
    return CertifiedRegion(
        products=oracle.products,
        segments=segments,
        limits=tuple(walk.limits),
        upper=walk.upper,
        gap=undecided_share(segments, walk.limits, walk.upper),
        n_solves=walk.n_solves,
        points=pd.DataFrame([r.amounts for r in walk.corners], columns=list(oracle.products)),
        schedules=tuple(oracle.schedule(r) for r in walk.corners),
        scope=scope | ({"stopped": "interrupted"} if walk.interrupted else {}),
    )


def _refine(
    oracle: TargetOracle,
    tolerance: float,
    max_solves: int | None,
    seed: int,
    scope: dict[str, Any],
    line: ProgressLine,
) -> CertifiedRegion:
    """Enclose three or more products, and estimate what is left on targets drawn afresh."""
    work = Refinement(oracle, tolerance, max_solves, seed)
    work.run(line)
    region = CertifiedRegion(
        products=oracle.products,
        segments=np.zeros((0, 2, 2)),
        pieces=tuple(work.pieces),
        limits=tuple(work.limits),
        upper=work.upper,
        gap=1.0,
        n_solves=work.n_solves,
        points=pd.DataFrame(
            [r.amounts for r in work.achieved_points], columns=list(oracle.products)
        ),
        schedules=tuple(oracle.schedule(r) for r in work.achieved_points),
        scope=scope | ({"stopped": "interrupted"} if work.interrupted else {}),
    )
    return _with_estimated_gap(region, seed)


def _with_estimated_gap(region: CertifiedRegion, seed: int) -> CertifiedRegion:
    rng, n_open = np.random.default_rng([seed, 1]), 0
    for _ in range(_N_VOLUME // _PART):
        targets = region.upper * rng.random((_PART, len(region.products)))
        n_open += int(np.sum(region.label(targets) == UNDECIDED))
    return replace(region, gap=n_open / _N_VOLUME, gap_interval=wilson_interval(n_open, _N_VOLUME))


def _outline(
    question: Question, names: tuple[str, ...], seed: int, line: ProgressLine
) -> CertifiedRegion:
    """Enclose any number of products between constructed schedules and sums over the horizon."""
    p = len(names)
    zero = np.zeros((1, p))
    sums = AnySchedule(question, names, zero)
    for direction in np.eye(p):
        sums.bound(direction, lambda what: line.move(0, lambda: what))
    if len(sums.bounds) < p:
        raise UnsupportedModelError(
            f"nothing bounds how much of {list(names)} the plant can make within"
            f" {question.horizon:g}; give n_events= and max_span="
        )
    upper = np.array([bound for _, bound in sums.bounds])
    if upper.min() <= 0:
        raise InvalidInputError(
            f"product {names[int(np.argmin(upper))]!r}: the plant can make none of it within"
            f" {question.horizon:g}"
        )
    cloud = qmc.Sobol(p, rng=np.random.default_rng(seed)).random_base2(int(np.log2(_N_OUTLINE)))
    work = AnySchedule(question, names, upper * cloud)
    scope = scope_of(question, require=None, n_events=None, max_span=None)
    del scope["require"]
    try:
        work.run(
            report=lambda what: line.move(round(100 * work.n_settled / _N_OUTLINE), lambda: what)
        )
    except KeyboardInterrupt:
        if not len(work.made):
            raise
        scope["stopped"] = "interrupted"
    limits = tuple(
        Limit(lower=(0.0,) * p, weights=tuple(w.tolist()), bound=b) for w, b in work.bounds
    )
    made = np.maximum(work.made, 0.0)
    steps = np.array([[[0.0, y], [x, y]] for x, y in made]) if p == 2 else np.zeros((0, 2, 2))
    region = CertifiedRegion(
        products=names,
        segments=steps.reshape(-1, 2, 2),
        pieces=() if p == 2 else tuple(row[None, :] for row in made),
        limits=limits,
        upper=upper,
        gap=1.0,
        n_solves=work.n_searches,
        points=pd.DataFrame(made, columns=list(names)),
        schedules=tuple(work.schedules),
        scope=scope,
    )
    if p > 2:
        return _with_estimated_gap(region, seed)
    return replace(region, gap=undecided_share(region.segments, limits, upper))
