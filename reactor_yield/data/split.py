"""Training and test rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reactor_yield.arguments import SHARE, SOME_NAMES, TABLE, TRUTH, WHOLE, check_arguments
from reactor_yield.data.columns import FEATURES
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.files import FilesTogether, files_together

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """Training and test rows, and how their features were standardised (empty when they were not).

    Attributes
    ----------
    train, test
        Rows keep the labels of the data they come from.
    center, scale
        Per feature, the training rows' mean and standard deviation that were taken out.
    """

    train: pd.DataFrame
    test: pd.DataFrame
    center: Mapping[str, float]
    scale: Mapping[str, float]

    def write(self, folder: Path | str) -> None:
        """Write `train.csv`, `test.csv` and `scaling.json` into a folder, created if needed."""
        target = Path(folder)
        target.mkdir(parents=True, exist_ok=True)
        with files_together() as outputs:
            self.keep_aside(outputs, target)

    def keep_aside(self, outputs: FilesTogether, folder: Path) -> None:
        """Add the files of `write` to those of a command."""
        outputs.write_csv(folder / "train.csv", self.train)
        outputs.write_csv(folder / "test.csv", self.test)
        scaling = {"center": dict(self.center), "scale": dict(self.scale)}
        outputs.write_json(folder / "scaling.json", scaling)


def split_dataset(
    data: pd.DataFrame,
    *,
    test_size: float = 0.4,
    seed: int = 42,
    standardise: bool = False,
    features: Sequence[str] = FEATURES,
) -> Split:
    """Split rows at random, 60/40 as the old study did.

    The rows are those of scikit-learn's `train_test_split` with the same size and seed.
    Standardising is not needed by any model here; it is for other tools, and uses the training
    rows alone.
    """
    check_arguments(
        data=(data, TABLE),
        test_size=(test_size, SHARE),
        seed=(seed, WHOLE),
        standardise=(standardise, TRUTH),
        features=(features, SOME_NAMES),
    )
    if not 0 < test_size < 1:
        message = f"test_size must be between 0 and 1, got {test_size}"
        raise InvalidConditionsError(message)
    n_test = int(np.ceil(test_size * len(data)))
    if not 0 < n_test < len(data):
        message = f"{len(data)} rows cannot be split into training and test rows"
        raise InvalidConditionsError(message)
    order = np.random.RandomState(seed).permutation(len(data))
    train, test = data.iloc[order[n_test:]], data.iloc[order[:n_test]]
    if not standardise:
        return Split(train=train, test=test, center={}, scale={})
    missing = [c for c in features if c not in data.columns]
    if missing:
        message = f"the data lack the features {missing}; found {list(data.columns)}"
        raise InvalidConditionsError(message)
    names = list(features)
    center, scale = train[names].mean(), train[names].std(ddof=0)
    constant = [c for c in names if not scale[c] > 0]
    if constant:
        message = f"the columns {constant} are constant and cannot be standardised"
        raise InvalidConditionsError(message)
    return Split(
        train=train.assign(**{c: (train[c] - center[c]) / scale[c] for c in names}),
        test=test.assign(**{c: (test[c] - center[c]) / scale[c] for c in names}),
        center=center.to_dict(),
        scale=scale.to_dict(),
    )
