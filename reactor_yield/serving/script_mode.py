"""Entry point for SageMaker's scikit-learn container (script mode).

As a script it trains from `SM_CHANNEL_TRAIN` into `SM_MODEL_DIR`; the four functions are what that
container calls to serve: `model_fn`, `input_fn`, `predict_fn` and `output_fn`. Hyperparameters come
as arguments, such as `--model best --seed 0`.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reactor_yield.errors import InvalidConditionsError, ReactorYieldError
from reactor_yield.files import csv_bytes, files_together, read_csv
from reactor_yield.tables import parse_csv

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from reactor_yield.yield_model import YieldModel

MODEL_FILE = "model.zip"


def model_fn(model_dir: str) -> YieldModel:
    """Load the model from its folder."""
    from reactor_yield.yield_model import load_yield_model

    return load_yield_model(Path(model_dir) / MODEL_FILE)


def input_fn(body: bytes | str, content_type: str) -> pd.DataFrame:
    """Read conditions from `text/csv` with a header, or `application/json`, a list of records."""
    kind = content_type.partition(";")[0].strip().lower()
    content = body.encode() if isinstance(body, str) else body
    if kind == "text/csv":
        return parse_csv(content, name="body")
    if kind == "application/json":
        import json

        import pandas as pd

        records = json.loads(content)
        if not isinstance(records, list) or not all(isinstance(r, dict) for r in records):
            message = "JSON must be a list of records"
            raise InvalidConditionsError(message)
        return pd.DataFrame(records)
    message = f"send text/csv or application/json, not {kind!r}"
    raise InvalidConditionsError(message)


def predict_fn(conditions: pd.DataFrame, model: YieldModel) -> pd.DataFrame:
    """Prediction, interval and range check of each row."""
    from reactor_yield.prediction import predict_table

    return predict_table(model, conditions)


def output_fn(predicted: pd.DataFrame, accept: str) -> tuple[bytes, str]:
    """Write the answer as `application/json` if asked for, and as CSV otherwise."""
    if "application/json" in accept.lower():
        return predicted.to_json(orient="records").encode(), "application/json"
    return csv_bytes(predicted), "text/csv"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train as script mode asks for; return the exit code, 0 or 1."""
    from reactor_yield.yield_model import fit_yield_model

    parser = argparse.ArgumentParser(description="Train a yield model in script mode.")
    parser.add_argument("--model", default="best")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--n-points", "--n_points", type=int, default=2_500)
    parser.add_argument("--train", default=os.environ.get("SM_CHANNEL_TRAIN"))
    parser.add_argument("--model-dir", "--model_dir", default=os.environ.get("SM_MODEL_DIR"))
    options = parser.parse_args(arguments)
    if not options.train or not options.model_dir:
        parser.error("--train and --model-dir, or SM_CHANNEL_TRAIN and SM_MODEL_DIR, are needed")
    try:
        data = _read_folder(Path(options.train))
        model = fit_yield_model(
            data, model=options.model, seed=options.seed, n_points=options.n_points
        )
        with files_together() as outputs:
            outputs.write_by(Path(options.model_dir) / MODEL_FILE, model.save)
    except (ReactorYieldError, OSError) as problem:
        sys.stderr.write(f"{problem}\n")
        return 1
    return 0


def _read_folder(folder: Path) -> Any:
    import pandas as pd

    files = sorted(folder.glob("*.csv"))
    if not files:
        message = f"no CSV file in {folder}"
        raise InvalidConditionsError(message)
    tables = [read_csv(f) for f in files]
    for table in tables:
        table.attrs.clear()
    return pd.concat(tables, ignore_index=True)


if __name__ == "__main__":
    raise SystemExit(main())
