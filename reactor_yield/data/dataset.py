"""Data sets drawn from the reference recipe."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from reactor_yield.arguments import (
    COUNT,
    NON_NEGATIVE,
    NUMBER,
    PATH,
    TRUTH,
    WHOLE,
    by_name,
    check_arguments,
)

# Checking and splitting were here once; `reactor_yield.data.dataset` goes on offering them.
from reactor_yield.data.check import DataProblem as DataProblem
from reactor_yield.data.check import DataReport as DataReport
from reactor_yield.data.check import check_dataset as check_dataset
from reactor_yield.data.columns import COLUMNS
from reactor_yield.data.split import Split as Split
from reactor_yield.data.split import split_dataset as split_dataset
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.files import files_together
from reactor_yield.legacy import OLD_TOLERANCES
from reactor_yield.simulation.kinetics import REFERENCE, Kinetics, inlet_concentration
from reactor_yield.simulation.tube import simulate_reactor

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingMode:
    """How one mode's conditions are drawn: normal(mean, fraction * mean), each independently.

    Parameters
    ----------
    mean
        Per column Fao, Fbo, P (atm), To (K), m, Ta (K), in the order of drawing.
    fraction
        Standard deviation over mean, per column.
    """

    mean: Mapping[str, float]
    fraction: Mapping[str, float]

    def __post_init__(self) -> None:
        check_arguments(
            mean=(self.mean, by_name(NUMBER)),
            fraction=(self.fraction, by_name(NON_NEGATIVE, empty=True)),
        )
        object.__setattr__(self, "mean", MappingProxyType(dict(self.mean)))
        object.__setattr__(self, "fraction", MappingProxyType(dict(self.fraction)))
        if list(self.mean) != list(self.fraction):
            message = (
                "an operating mode's mean and fraction need the same columns in the same order, "
                f"got {list(self.mean)} and {list(self.fraction)}"
            )
            raise InvalidConditionsError(message)

    def spread(self) -> dict[str, float]:
        """Return the standard deviation per column, in the column's unit."""
        return {name: self.fraction[name] * mean for name, mean in self.mean.items()}


MODE_1 = OperatingMode(
    mean={"Fao": 5, "Fbo": 10, "P": 4.92, "To": 300, "m": 10, "Ta": 325},
    fraction={"Fao": 0.1, "Fbo": 0.1, "P": 0.1, "To": 0.03, "m": 0.2, "Ta": 0.03},
)
MODE_2 = OperatingMode(
    mean={"Fao": 3, "Fbo": 4, "P": 10, "To": 500, "m": 5, "Ta": 325},
    fraction={"Fao": 0.05, "Fbo": 0.05, "P": 0.05, "To": 0.015, "m": 0.1, "Ta": 0.015},
)
_DRIFTING = ("Fao", "Fbo", "P", "To")
_SHARES = {1: 0.6, 2: 0.3, 3: 0.1}
_NEW_SHARES = {1: 0.5, 2: 0.5}


def generate_dataset(
    n_samples: int = 10_000,
    *,
    seed: int = 0,
    new: bool = False,
    frozen: bool = False,
    kinetics: Kinetics = REFERENCE,
    progress: bool = False,
) -> pd.DataFrame:
    """Draw conditions as the old study did, and simulate them.

    60 % mode 1, 30 % mode 2, 10 % noise (mode 3: uniform between the two means, Ta as in mode 1).
    The generator is reset to `seed` before each mode, as it was there: the modes' rows are
    therefore the same standard normal numbers scaled, and `new` data of the same seed repeat them
    too. Use another seed for data that are independent.

    Parameters
    ----------
    n_samples
        Rows. The old study used 10,000, and 5,000 for new data.
    seed
        Of NumPy's legacy generator.
    new
        The drifted plant: half mode 1 with means and fractions of Fao, Fbo, P, To times 0.9, half
        mode 2 with them times 1.1; m and Ta as before.
    frozen
        Repeat the old data set's mistake and its integration tolerances (see `simulate_reactor`):
        with seed 0 and 10,000 rows this is the old study's data set.
    kinetics
        The reactor; its feeds must be A and B.
    progress
        Show a progress bar.

    Returns
    -------
    (n_samples, 20) DataFrame
        `reactor_yield.data.columns.COLUMNS`, then columns of other species that `kinetics` has,
        then `status` and `reason`.
    """
    check_arguments(
        n_samples=(n_samples, COUNT),
        seed=(seed, WHOLE),
        new=(new, TRUTH),
        frozen=(frozen, TRUTH),
        kinetics=(kinetics, Kinetics),
        progress=(progress, TRUTH),
    )
    blocks = iterate_dataset(
        n_samples, seed=seed, new=new, frozen=frozen, kinetics=kinetics, progress=progress
    )
    return pd.concat(blocks)


def iterate_dataset(
    n_samples: int,
    *,
    seed: int = 0,
    new: bool = False,
    frozen: bool = False,
    kinetics: Kinetics = REFERENCE,
    progress: bool = False,
    block: int = 10_000,
) -> Iterator[pd.DataFrame]:
    """Yield the rows of `generate_dataset` a block at a time, in memory that does not grow.

    Parameters
    ----------
    n_samples, seed, new, frozen, kinetics, progress
        As in `generate_dataset`.
    block
        Most rows of a block.
    """
    check_arguments(
        n_samples=(n_samples, COUNT),
        seed=(seed, WHOLE),
        new=(new, TRUTH),
        frozen=(frozen, TRUTH),
        kinetics=(kinetics, Kinetics),
        progress=(progress, TRUTH),
        block=(block, COUNT),
    )
    if set(kinetics.feed_columns) != {"Fao", "Fbo"}:
        message = (
            f"the recipe draws feeds of A and B, and this reactor's feeds are {kinetics.feeds}"
        )
        raise InvalidConditionsError(message)
    # What is refused is refused at the call, not with the first block.
    return _simulate_blocks(
        n_samples,
        seed=seed,
        new=new,
        frozen=frozen,
        kinetics=kinetics,
        progress=progress,
        block=block,
    )


def _simulate_blocks(
    n_samples: int,
    *,
    seed: int,
    new: bool,
    frozen: bool,
    kinetics: Kinetics,
    progress: bool,
    block: int,
) -> Iterator[pd.DataFrame]:
    rtol, atol = OLD_TOLERANCES if frozen else (1e-8, 1e-10)
    first = 0
    with tqdm(total=n_samples, desc="simulating", unit="row", disable=not progress) as bar:
        for conditions in _draw_blocks(n_samples, seed=seed, new=new, block=block):
            conditions.index = pd.RangeIndex(first, first + len(conditions))
            found = simulate_reactor(conditions, kinetics, frozen=frozen, rtol=rtol, atol=atol)
            table = conditions.join(found.drop(columns="Cto"))
            # The reference's columns in their order, then those of another reactor's species.
            known = [c.name for c in COLUMNS if c.name in table.columns]
            others = [c for c in table.columns if c not in {*known, "status", "reason"}]
            yield table[[*known, *others, "status", "reason"]]
            first += len(conditions)
            bar.update(len(conditions))


def write_dataset(path: Path | str, n_samples: int = 10_000, **options: Any) -> None:
    """Write the rows of `generate_dataset` as CSV, whole or not at all, in bounded memory.

    Parameters
    ----------
    path
        Of the file, replaced once all rows are written.
    n_samples
        Rows.
    **options
        Of `iterate_dataset`.
    """
    check_arguments(path=(path, PATH))
    blocks = iterate_dataset(n_samples, **options)

    def write(aside: Path) -> None:
        with aside.open("w", encoding="utf-8", newline="") as file:
            for number, rows in enumerate(blocks):
                rows.to_csv(file, index=False, header=number == 0)

    with files_together() as outputs:
        outputs.write_by(path, write)


def draw_conditions(n_samples: int, *, seed: int = 0, new: bool = False) -> pd.DataFrame:
    """Conditions of `generate_dataset` alone: Mode, Fao, Fbo, P, To, Cto, m, Ta."""
    blocks = list(_draw_blocks(n_samples, seed=seed, new=new, block=max(n_samples, 1)))
    return pd.concat(blocks, ignore_index=True)


def _draw_blocks(n_samples: int, *, seed: int, new: bool, block: int) -> Iterator[pd.DataFrame]:
    """Conditions, mode after mode, at most `block` rows at a time."""
    shares = _NEW_SHARES if new else _SHARES
    counts = {mode: round(share * n_samples) for mode, share in shares.items()}
    last = max(counts)
    counts[last] = n_samples - sum(n for mode, n in counts.items() if mode != last)
    modes = {1: _drift(MODE_1, 0.9), 2: _drift(MODE_2, 1.1)} if new else {1: MODE_1, 2: MODE_2}
    for mode, n_rows in counts.items():
        # The legacy generator is part of the recipe: only it repeats the old rows.
        rng = np.random.RandomState(seed)
        for first in range(0, n_rows, block):
            size = min(block, n_rows - first)
            values = _draw_mode(modes[mode], size, rng) if mode in modes else _draw_noise(size, rng)
            frame = pd.DataFrame(values, columns=list(MODE_1.mean))
            frame.insert(0, "Mode", float(mode))
            frame.insert(5, "Cto", inlet_concentration(frame["P"], frame["To"]))
            yield frame


def _drift(mode: OperatingMode, factor: float) -> OperatingMode:
    return OperatingMode(
        mean={c: v * factor if c in _DRIFTING else v for c, v in mode.mean.items()},
        fraction={c: v * factor if c in _DRIFTING else v for c, v in mode.fraction.items()},
    )


def _draw_mode(mode: OperatingMode, n_rows: int, rng: np.random.RandomState) -> np.ndarray:
    normal = rng.standard_normal((n_rows, len(mode.mean)))
    return np.asarray(list(mode.mean.values()) + normal * list(mode.spread().values()))


def _draw_noise(n_rows: int, rng: np.random.RandomState) -> np.ndarray:
    """Uniform between the two modes' means, row by row since Ta's normal draw comes in between."""
    bounds = [sorted((MODE_1.mean[c], MODE_2.mean[c])) for c in MODE_1.mean if c != "Ta"]
    mean, spread = MODE_1.mean["Ta"], MODE_1.spread()["Ta"]
    return np.array(
        [
            [*(rng.uniform(low, high) for low, high in bounds), rng.normal(mean, spread)]
            for _ in range(n_rows)
        ]
    ).reshape(n_rows, len(MODE_1.mean))
