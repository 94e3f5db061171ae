"""Targets and what is known about them: sampling, labels, tables, and the score of a region.

Labels follow Kumawat and Chaturvedi (2021): -1 feasible, +1 infeasible; 0 is undecided.
"""

from __future__ import annotations

import csv
import io
import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypeAlias, cast

import numpy as np
import pandas as pd
from scipy.stats import qmc

from stnopt.arguments import FEW, NAMES, NUMBER, PATH, TEXT, WHOLE, Kind, check_arguments, one_of
from stnopt.errors import InvalidInputError
from stnopt.feasibility.region import Scalar, checked_scalars
from stnopt.files import parse_number, read_table, refuse_lines, write_text

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Interval: TypeAlias = tuple[float, float]

FEASIBLE, UNDECIDED, INFEASIBLE = -1, 0, 1

#: Keys of a scope that say from where a schedule starts and what it has to serve.
CIRCUMSTANCES = ("state", "state_digest", "deliveries", "orders", "date")

LABEL = "label"  # last column of a samples file
_SCOPE_WORD = "scope: "
_Z_95 = 1.959963984540054  # 97.5 % quantile of the standard normal
_RECORD_WORDS = {
    "yes": FEASIBLE,
    "true": FEASIBLE,
    "feasible": FEASIBLE,
    "no": INFEASIBLE,
    "false": INFEASIBLE,
    "infeasible": INFEASIBLE,
}


_METHODS = ("sobol", "uniform", "grid")


def sample_targets(
    bounds: Mapping[str, tuple[float, float]],
    n_samples: int,
    *,
    seed: int,
    method: Literal["sobol", "uniform", "grid"] = "sobol",
) -> pd.DataFrame:
    """Choose targets in a box.

    Parameters
    ----------
    bounds : mapping of str to (lower, upper), amount
        One entry per product, finite, lower below upper.
    n_samples : int
        Number of targets. A grid has ``k**p`` of them, with ``k`` the smallest number of levels
        per product for which that is at least `n_samples` (120 asked in 2 products: 121 made).
    seed : int
        The same seed gives the same targets. A grid does not depend on it.
    method : {"sobol", "uniform", "grid"}
        Scrambled Sobol points (the first `n_samples` of the sequence, any number), independent
        uniform points, or a full factorial that includes the bounds (a single level is the middle).

    Returns
    -------
    DataFrame, one column per product in the order of `bounds`

    Raises
    ------
    InvalidInputError
        If a bound, the number, the seed or the method does not fit; every bad bound is named.
    """
    lower, upper = _checked_bounds(bounds)
    check_arguments(
        n_samples=(n_samples, FEW), seed=(seed, WHOLE), method=(method, one_of(_METHODS))
    )
    p = len(bounds)
    if method == "sobol":
        # a full power of two keeps the sequence balanced (and scipy quiet); its head is kept
        sequence = qmc.Sobol(p, scramble=True, rng=np.random.default_rng(seed))
        unit = sequence.random_base2(math.ceil(math.log2(n_samples)))[:n_samples]
    elif method == "uniform":
        unit = np.random.default_rng(seed).random((n_samples, p))
    else:
        n_levels = 1
        while n_levels**p < n_samples:  # exact, where a rounded root is not
            n_levels += 1
        levels = np.linspace(lower, upper, n_levels) if n_levels > 1 else [(lower + upper) / 2]
        axes = np.meshgrid(*np.transpose(levels), indexing="ij")
        return pd.DataFrame(np.stack(axes, axis=-1).reshape(-1, p), columns=list(bounds))
    return pd.DataFrame(lower + unit * (upper - lower), columns=list(bounds))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TargetSamples:
    """Targets, each labelled -1 (feasible), +1 (infeasible) or 0 (undecided).

    Parameters
    ----------
    targets : DataFrame (n, p), amount
        One column per product. Kept as a copy in floats, rows renumbered from 0.
    labels : (n,) array of int
        -1, 0 or +1.
    scope : mapping of str to str, number, bool or None, optional
        What the labels hold for: plant, fingerprint, horizon, sense, rule, event points. Empty for
        a plant's records.

    Raises
    ------
    InvalidInputError
        If a column is repeated or not text, a number is missing, a label is none of the three, or
        the lengths differ.
    """

    targets: pd.DataFrame
    labels: NDArray[np.int64]
    scope: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        targets = _checked_targets(self.targets)
        labels = np.asarray(self.labels)
        if labels.ndim != 1 or len(labels) != len(targets):
            raise InvalidInputError(
                f"labels: expected one per target, shape ({len(targets)},), found {labels.shape}"
            )
        known = np.isin(labels, (FEASIBLE, UNDECIDED, INFEASIBLE))
        if labels.dtype == bool or not known.all():
            row = 0 if labels.dtype == bool else int(np.flatnonzero(~known)[0])
            raise InvalidInputError(
                "labels: expected -1 (feasible), 0 (undecided) or +1 (infeasible),"
                f" got {labels[row]!r} in row {row}"
            )
        labels = labels.astype(np.int64)
        labels.setflags(write=False)
        object.__setattr__(self, "targets", targets)
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "scope", MappingProxyType(checked_scalars(self.scope, "scope")))

    def __repr__(self) -> str:
        counts = ", ".join(f"{n} {label}" for label, n in self.counts().items())
        return f"TargetSamples({', '.join(self.products)}: {counts})"

    def _repr_html_(self) -> str:
        """Return the labelled targets, as notebooks show it."""
        from stnopt.page.notebook import show_samples

        return show_samples(self)

    @property
    def products(self) -> tuple[str, ...]:
        """Names of the products, in the order of the columns."""
        return tuple(self.targets.columns)

    @property
    def decided(self) -> TargetSamples:
        """The samples without the undecided ones."""
        keep = self.labels != UNDECIDED
        return TargetSamples(targets=self.targets[keep], labels=self.labels[keep], scope=self.scope)

    def counts(self) -> dict[str, int]:
        """Count the samples as ``"feasible"``, ``"infeasible"`` and ``"undecided"``."""
        return {
            "feasible": int(np.sum(self.labels == FEASIBLE)),
            "infeasible": int(np.sum(self.labels == INFEASIBLE)),
            "undecided": int(np.sum(self.labels == UNDECIDED)),
        }

    def to_frame(self) -> pd.DataFrame:
        """Return one row per target: its amounts, and `label` (-1, 0 or +1)."""
        return self.targets.reset_index(drop=True).assign(**{LABEL: self.labels})

    def to_json(self, path: Path | str | None = None) -> str:
        """Return the samples and their scope as JSON, exact to the last bit.

        Also written to `path` when given; `from_json` reads it back.
        """
        from stnopt.feasibility.samples_file import samples_to_json

        text = samples_to_json(self)
        if path is not None:
            write_text(path, text + "\n")
        return text

    @classmethod
    def from_json(cls, source: Path | str) -> TargetSamples:
        """Read what `to_json` wrote: a file, or the text itself.

        Raises
        ------
        InvalidInputError
            If there is no such file, or it holds no samples.
        """
        from stnopt.feasibility.samples_file import samples_from_json

        check_arguments(source=(source, PATH))
        return samples_from_json(source)

    def to_excel(self, path: Path | str) -> None:
        """Write the samples as a workbook (extra `excel`); `from_excel` reads it back exactly."""
        from stnopt.feasibility.samples_file import samples_to_excel

        samples_to_excel(self, path)

    @classmethod
    def from_excel(cls, path: Path | str) -> TargetSamples:
        """Read what `to_excel` wrote; the sheet with the scope may be missing.

        Raises
        ------
        InvalidInputError
            If it cannot be read.
        """
        from stnopt.feasibility.samples_file import samples_from_excel

        check_arguments(path=(path, PATH))
        return samples_from_excel(path)

    def to_csv(self, path: Path | str) -> None:
        """Write the samples, exact to the last bit, with their scope in the first line.

        Columns are the products and ``label``; the first line is ``# scope:`` and a JSON object.
        """
        text = io.StringIO()
        scope = json.dumps(dict(self.scope), allow_nan=False, ensure_ascii=False)
        text.write(f"# {_SCOPE_WORD}{scope}\n")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([*self.products, LABEL])
        for target, label in zip(self.targets.to_numpy(), self.labels, strict=True):
            writer.writerow([*(repr(float(amount)) for amount in target), int(label)])
        write_text(path, text.getvalue())

    @classmethod
    def from_csv(cls, path: Path | str) -> TargetSamples:
        """Read what `to_csv` wrote; the line with the scope may be missing.

        Raises
        ------
        InvalidInputError
            With every bad line of the file at once.
        """
        check_arguments(path=(path, PATH))
        scope, header, rows, problems = _read_table(Path(path))
        where = f"samples file {str(path)!r}"
        if header[-1:] != [LABEL] or len(header) < 2:
            raise InvalidInputError(
                f"{where}: expected columns of targets and then {LABEL!r}, got {header};"
                " read a plant's own history with TargetSamples.from_records"
            )
        amounts, labels = [], []
        codes = {"-1": FEASIBLE, "0": UNDECIDED, "1": INFEASIBLE, "+1": INFEASIBLE}
        for place, values in rows:
            amounts.append(_parse_amounts(values[:-1], header[:-1], place, problems))
            code = str(values[-1]).strip()
            if code not in codes:
                problems.append((place, f"label must be -1, 0 or 1, got {values[-1]!r}"))
            labels.append(codes.get(code, UNDECIDED))
        refuse_lines(problems, where)
        targets = _frame(amounts, header[:-1])
        try:
            return cls(targets=targets, labels=np.array(labels, dtype=np.int64), scope=scope)
        except InvalidInputError as error:
            raise InvalidInputError(f"{where}: {error}") from error

    @classmethod
    def from_records(
        cls,
        source: Path | str | pd.DataFrame,
        *,
        inputs: Sequence[str],
        label: str,
        met: str | float | None = None,
    ) -> TargetSamples:
        """Take a plant's history: targets and whether they were met. No plant file is needed.

        Parameters
        ----------
        source : Path, str or DataFrame
            A CSV file with a header line, or a table.
        inputs : sequence of str
            Columns that hold the targets; others are ignored.
        label : str
            Column that says whether the target was met. Met: ``True``, ``yes``, ``feasible``, or
            ``-1`` (this library's sign, as in the paper). Not met: ``False``, ``no``,
            ``infeasible``, or ``+1``. Capitals do not matter.
        met : str or number, optional
            What that column says where the target was met, if it is something else: ``met=1`` for
            a history that writes successes as 1. Every other value then means not met; an empty
            one is refused.

        Warns
        -----
        UserWarning
            If every record says 1, which is the sign of *not met* here.

        Raises
        ------
        InvalidInputError
            If a column is missing, or with every bad row at once: lines of a file are counted from
            1, header included; rows of a table are named by their index.
        """
        check_arguments(
            source=(source, pd.DataFrame if isinstance(source, pd.DataFrame) else PATH),
            inputs=(inputs, NAMES),
            label=(label, TEXT),
        )
        if label in inputs:
            raise InvalidInputError(f"label {label!r} is also among the inputs")
        if met is not None and not (
            NUMBER.fits(met) or (isinstance(met, str) and not _is_empty(met))
        ):
            raise InvalidInputError(f"met: expected text or a number, got {met!r}")
        rows: list[tuple[str, list[Any]]]
        problems: list[tuple[str, str]]
        if isinstance(source, pd.DataFrame):
            where, problems, header = "records", [], list(source.columns)
            rows = [
                (f"row {index}", list(values))
                for index, values in zip(
                    source.index, source.itertuples(index=False, name=None), strict=True
                )
            ]
        else:
            where = f"records file {str(source)!r}"
            _, header, rows, problems = _read_table(Path(source))
        columns = [*inputs, label]
        if missing := [name for name in columns if name not in header]:
            raise InvalidInputError(
                f"{where}: missing columns {missing}, named by inputs and label; found {header}"
            )
        if repeated := sorted({name for name in columns if header.count(name) > 1}):
            raise InvalidInputError(f"{where}: columns {repeated} appear more than once")
        places = [header.index(name) for name in inputs]
        label_place = header.index(label)
        amounts, labels = [], []
        for place, values in rows:
            amounts.append(_parse_amounts([values[j] for j in places], inputs, place, problems))
            said = values[label_place]
            code = _parse_record_label(said) if met is None else _compare_record_label(said, met)
            if code is None:
                expected = (
                    "yes/no, true/false, feasible/infeasible or -1/+1 (-1 is feasible); met= names"
                    " another word or number for a target that was met"
                    if met is None
                    else f"{met!r} or what is said of a target that was not met"
                )
                problems.append((place, f"{label} must be {expected}, got {said!r}"))
            labels.append(UNDECIDED if code is None else code)
        refuse_lines(problems, where)
        if not rows:
            raise InvalidInputError(f"{where}: no records below the header")
        if met is None and labels and all(_is_one(values[label_place]) for _, values in rows):
            warnings.warn(
                f"{where}: {label} is 1 in every record, which means that no target was met (the"
                " sign of the paper); if 1 means met, say met=1",
                UserWarning,
                stacklevel=2,
            )
        return cls(targets=_frame(amounts, list(inputs)), labels=np.array(labels, dtype=np.int64))

    def __eq__(self, other: object) -> bool:
        """Compare products, targets, labels (in order) and scope."""
        if not isinstance(other, TargetSamples):
            return NotImplemented
        return (
            self.products == other.products
            and np.array_equal(self.targets.to_numpy(), other.targets.to_numpy())
            and np.array_equal(self.labels, other.labels)
            and self.scope == other.scope
        )

    __hash__ = None  # type: ignore[assignment]  # its table can be changed in place

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle through the constructor (a read-only mapping cannot be pickled as it is)."""
        return _rebuild, (self.targets, self.labels, dict(self.scope))


class _Container(Protocol):
    """What a region offers to be scored: any object that tells which targets it contains."""

    def contains(self, points: pd.DataFrame) -> NDArray[np.bool_]: ...


_CONTAINER = Kind("a region, or an object with contains()", lambda v: hasattr(v, "contains"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionScore:
    """How often a region is wrong on labelled targets; the two kinds of error are kept apart.

    Parameters
    ----------
    n_feasible, n_infeasible : int
        Targets of each true label; undecided ones are not counted.
    n_false_feasible : int
        Infeasible targets inside the region: each would be an impossible plan.
    n_false_infeasible : int
        Feasible targets outside the region: each is a plan that is missed.
    """

    n_feasible: int
    n_infeasible: int
    n_false_feasible: int
    n_false_infeasible: int

    @classmethod
    def from_answers(cls, labels: NDArray[np.int64], inside: NDArray[np.bool_]) -> RegionScore:
        """Count the errors of the answers `inside` (called feasible) against labels -1 and +1."""
        labels, inside = np.asarray(labels), np.asarray(inside)
        if (
            labels.shape != inside.shape
            or labels.ndim != 1
            or inside.dtype != bool
            or labels.dtype.kind not in "iu"
        ):
            raise InvalidInputError(
                "labels, inside: expected (n,) labels and (n,) truth values, found "
                f"{labels.dtype} {labels.shape} and {inside.dtype} {inside.shape}"
            )
        feasible = labels == FEASIBLE
        return cls(
            n_feasible=int(feasible.sum()),
            n_infeasible=int((~feasible).sum()),
            n_false_feasible=int((inside & ~feasible).sum()),
            n_false_infeasible=int((~inside & feasible).sum()),
        )

    @property
    def n_points(self) -> int:
        """Number of decided targets."""
        return self.n_feasible + self.n_infeasible

    @property
    def total_error(self) -> float | None:
        """Share of wrong answers in all targets; None without any."""
        return _share(self.n_false_feasible + self.n_false_infeasible, self.n_points)

    @property
    def accuracy(self) -> float | None:
        """Share of right answers in all targets; None without any."""
        return None if self.total_error is None else 1 - self.total_error

    @property
    def false_feasible_rate(self) -> float | None:
        """Share of the truly infeasible targets that are called feasible; None without any."""
        return _share(self.n_false_feasible, self.n_infeasible)

    @property
    def false_infeasible_rate(self) -> float | None:
        """Share of the truly feasible targets that are called infeasible; None without any."""
        return _share(self.n_false_infeasible, self.n_feasible)

    @property
    def total_error_interval(self) -> Interval | None:
        """95 % Wilson interval of `total_error`."""
        return wilson_interval(self.n_false_feasible + self.n_false_infeasible, self.n_points)

    @property
    def false_feasible_interval(self) -> Interval | None:
        """95 % Wilson interval of `false_feasible_rate`."""
        return wilson_interval(self.n_false_feasible, self.n_infeasible)

    @property
    def false_infeasible_interval(self) -> Interval | None:
        """95 % Wilson interval of `false_infeasible_rate`."""
        return wilson_interval(self.n_false_infeasible, self.n_feasible)

    def __str__(self) -> str:
        """Three lines: each rate with its counts and its interval."""
        wrong = self.n_false_feasible + self.n_false_infeasible
        lines = (
            ("total error", wrong, self.n_points, self.total_error_interval),
            (
                "false feasible",
                self.n_false_feasible,
                self.n_infeasible,
                self.false_feasible_interval,
            ),
            (
                "false infeasible",
                self.n_false_infeasible,
                self.n_feasible,
                self.false_infeasible_interval,
            ),
        )
        return "\n".join(
            f"{name:<17} {f'{100 * k / n:.2f} %':>9}  ({k} of {n} targets,"
            f" 95 % interval {100 * interval[0]:.2f} to {100 * interval[1]:.2f} %)"
            if interval is not None
            else f"{name:<17}   unknown  (no such targets)"
            for name, k, n, interval in lines
        )


def score_region(region: _Container, samples: TargetSamples) -> RegionScore:
    """Compare a region with exactly labelled targets; undecided ones are left out.

    Parameters
    ----------
    region : LinearRegion, KernelRegion or any object with ``contains(DataFrame) -> (n,) bool``
    samples : TargetSamples
        With the region's inputs among their products, and labels that did not train it.
    """
    check_arguments(
        region=(region, _CONTAINER),
        samples=(samples, TargetSamples),
    )
    decided = samples.decided
    inside = np.asarray(region.contains(decided.targets), dtype=bool)
    return RegionScore.from_answers(decided.labels, inside)


def wilson_interval(n_hits: int, n_trials: int) -> Interval | None:
    """95 % confidence interval of a share; None without trials.

    Unlike the normal approximation it stays within 0 and 1 and has a width at 0 hits.

    References
    ----------
    Wilson (1927), doi:10.1080/01621459.1927.10502953.
    """
    if n_trials == 0:
        return None
    share, z2 = n_hits / n_trials, _Z_95**2
    middle = (share + z2 / (2 * n_trials)) / (1 + z2 / n_trials)
    spread = share * (1 - share) / n_trials + z2 / (4 * n_trials**2)
    half = _Z_95 * math.sqrt(spread) / (1 + z2 / n_trials)
    # exact at the ends, where rounding would leave 1e-17 beside them
    low = 0.0 if n_hits == 0 else middle - half
    high = 1.0 if n_hits == n_trials else middle + half
    return low, high


def _share(n_hits: int, n_trials: int) -> float | None:
    return n_hits / n_trials if n_trials else None


def _rebuild(
    targets: pd.DataFrame, labels: NDArray[np.int64], scope: dict[str, Scalar]
) -> TargetSamples:
    return TargetSamples(targets=targets, labels=labels, scope=scope)


def _checked_bounds(
    bounds: Mapping[str, tuple[float, float]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Lower and upper bounds as arrays; every bad entry is named at once."""
    if not isinstance(bounds, Mapping) or not bounds:
        raise InvalidInputError(
            f"bounds: expected a mapping of product to (lower, upper), got {bounds!r}"
        )
    problems, pairs = [], []
    for name, given in bounds.items():
        try:
            low, high = (float(side) for side in given)
        except (TypeError, ValueError):
            problems.append(f"{name!r}: expected (lower, upper), got {given!r}")
            continue
        if not isinstance(name, str) or not name:
            problems.append(f"{name!r}: a product's name must be text")
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            problems.append(f"{name!r}: need finite lower < upper, got {low} and {high}")
        pairs.append((low, high))
    if problems:
        raise InvalidInputError("bounds: " + "; ".join(problems))
    lower, upper = np.array(pairs).T
    return lower, upper


def _checked_targets(targets: pd.DataFrame) -> pd.DataFrame:
    """Copy of the table in floats, rows renumbered; refused when a number is missing."""
    if not isinstance(targets, pd.DataFrame):
        raise InvalidInputError(
            f"targets: expected a DataFrame with a column per product, got {type(targets).__name__}"
        )
    columns = list(targets.columns)
    if not columns:
        raise InvalidInputError("targets: expected a column per product, got none")
    if bad := [name for name in columns if not isinstance(name, str) or not name]:
        raise InvalidInputError(f"targets: columns must be named by text, got {bad}")
    if repeated := sorted({name for name in columns if columns.count(name) > 1}):
        raise InvalidInputError(f"targets: columns {repeated} appear more than once")
    if LABEL in columns:
        raise InvalidInputError(
            f"targets: the column name {LABEL!r} is taken by the labels; rename that product"
        )
    try:
        amounts = targets.to_numpy(dtype=np.float64, copy=True)
    except (TypeError, ValueError) as error:
        raise InvalidInputError(f"targets: expected numbers: {error}") from error
    if not np.isfinite(amounts).all():
        row, column = (int(k) for k in np.argwhere(~np.isfinite(amounts))[0])
        raise InvalidInputError(
            f"targets: {columns[column]!r} is {amounts[row, column]} in row {row}"
        )
    return pd.DataFrame(amounts, columns=columns)


def _read_table(
    path: Path,
) -> tuple[dict[str, Scalar], list[str], list[tuple[str, list[Any]]], list[tuple[str, str]]]:
    """Scope, header, rows with their line, and what is wrong with single lines."""
    table = read_table(path)
    scope: dict[str, Scalar] = {}
    if table.comment is not None and table.comment.startswith(_SCOPE_WORD):
        try:
            found = json.loads(table.comment.removeprefix(_SCOPE_WORD))
            scope = checked_scalars(found, "scope")
        except (ValueError, RecursionError) as error:  # not JSON, or no mapping of scalars
            raise InvalidInputError(f"{str(path)!r}, line 1: unreadable scope: {error}") from error
    rows: list[tuple[str, list[Any]]] = [(f"line {line}", values) for line, values in table.rows]
    return scope, table.header, rows, table.problems


def _parse_amounts(
    values: Sequence[Any], names: Sequence[str], place: str, problems: list[tuple[str, str]]
) -> list[float]:
    amounts = []
    for name, value in zip(names, values, strict=True):
        try:
            amount = parse_number(value) if isinstance(value, str) else float(value)
        except (TypeError, ValueError):
            amount = math.nan
        if not math.isfinite(amount):
            problems.append((place, f"{name} must be a finite number, got {value!r}"))
        amounts.append(amount)
    return amounts


def _parse_record_label(value: object) -> int | None:
    """-1 when the target was met, +1 when not, None when the record does not say so."""
    if isinstance(value, bool | np.bool_):
        return FEASIBLE if value else INFEASIBLE
    if isinstance(value, str) and value.strip().lower() in _RECORD_WORDS:
        return _RECORD_WORDS[value.strip().lower()]
    try:
        sign = float(cast("float", value))
    except (TypeError, ValueError):
        return None
    return {-1.0: FEASIBLE, 1.0: INFEASIBLE}.get(sign)


def _compare_record_label(value: object, met: str | float) -> int | None:
    """-1 when a record says what means met, +1 when it says something else, None when nothing."""
    if _is_empty(value):
        return None
    said, wanted = str(value).strip().lower(), str(met).strip().lower()
    try:
        same = float(said) == float(wanted)
    except ValueError:
        same = said == wanted
    return FEASIBLE if same else INFEASIBLE


def _is_empty(value: object) -> bool:
    if value is None or (isinstance(value, float | np.floating) and math.isnan(value)):
        return True
    return not str(value).strip()


def _is_one(value: object) -> bool:
    if isinstance(value, bool | np.bool_):
        return False
    try:
        return float(cast("float", value)) == 1.0
    except (TypeError, ValueError):
        return False


def _frame(amounts: list[list[float]], columns: Sequence[str]) -> pd.DataFrame:
    array: ArrayLike = np.array(amounts, dtype=np.float64).reshape(-1, len(columns))
    return pd.DataFrame(array, columns=list(columns))
