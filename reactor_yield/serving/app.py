"""The model behind HTTP, and the two commands of SageMaker's container contract.

`train` reads `input/config/hyperparameters.json` and the CSV files of channel `input/data/train`,
and writes `model/model.zip`; when it fails it writes why to `output/failure`. `serve` answers `GET
/ping` and `POST /invocations` on port 8080. All paths are below `/opt/ml`.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

try:
    import uvicorn
    from fastapi import FastAPI, Request, Response
except ImportError as error:
    from reactor_yield.errors import MissingDependencyError

    message = 'serving needs fastapi and uvicorn: pip install "stnopt[serve]"'
    raise MissingDependencyError(message) from error

from reactor_yield.data.dataset import check_dataset, split_dataset
from reactor_yield.errors import InvalidConditionsError, ReactorYieldError
from reactor_yield.yield_model import (
    YieldModel,
    evaluate_yield_model,
    fit_yield_model,
    load_yield_model,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

ML_ROOT = Path("/opt/ml")
MODEL_FILE = "model.zip"
_MOST_ROWS = 100_000


def create_app(model: YieldModel) -> FastAPI:
    """Web application that answers for one model.

    `GET /ping` is 200 when it is ready. `POST /invocations` takes conditions as `text/csv` with a
    header, or as `application/json`, a list of records; it answers in the `Accept` type of the two,
    CSV unless JSON is asked for, with the prediction, `lower` and `upper` of the 90 % interval,
    `in_range` and `outside`. Conditions it cannot use are 400 with a message, other content types
    415.
    """
    app = FastAPI(title="reactor_yield", openapi_url=None)

    @app.get("/ping")
    def ping() -> Response:
        return Response(status_code=200)

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip()
        body = await request.body()
        try:
            if kind == "text/csv":
                conditions = pd.read_csv(io.BytesIO(body))
            elif kind == "application/json":
                conditions = _records(json.loads(body))
            else:
                return Response(f"send text/csv or application/json, not {kind!r}", 415)
            if len(conditions) > _MOST_ROWS:
                return Response(f"{len(conditions)} rows; at most {_MOST_ROWS} at once", 413)
            answer = predict_table(model, conditions)
        except (ReactorYieldError, ValueError) as problem:
            return Response(str(problem), 400)
        accept = request.headers.get("accept", "*/*")
        if "application/json" in accept:
            return Response(answer.to_json(orient="records"), media_type="application/json")
        return Response(answer.to_csv(index=False), media_type="text/csv")

    return app


def predict_table(model: YieldModel, conditions: pd.DataFrame) -> pd.DataFrame:
    """Prediction, 90 % interval and range check of each row, in one table."""
    predicted = model.predict(conditions)
    return predicted.join(model.interval(conditions))[
        [model.target, "lower", "upper", "in_range", "outside"]
    ]


def train_in_container(root: Path = ML_ROOT) -> int:
    """Run SageMaker's `train`; return the exit code."""
    try:
        settings = _read_hyperparameters(root / "input" / "config" / "hyperparameters.json")
        data = _read_channel(root / "input" / "data" / "train")
        split = split_dataset(data, test_size=settings.pop("test_size"), seed=42)
        model = fit_yield_model(split.train, **settings)
        target = root / "model"
        target.mkdir(parents=True, exist_ok=True)
        model.save(target / MODEL_FILE)
        report = {
            "fit": model.report.to_dict(),
            "test": evaluate_yield_model(model, split.test).to_dict(orient="index"),
        }
        (target / "report.json").write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    except Exception as problem:  # the contract: whatever went wrong is told in this file
        failure = root / "output" / "failure"
        failure.parent.mkdir(parents=True, exist_ok=True)
        failure.write_text(f"{type(problem).__name__}: {problem}\n", encoding="utf-8")
        return 1
    return 0


def serve(model_file: Path, *, host: str = "127.0.0.1", port: int = 8080) -> None:
    """Answer requests until stopped."""
    uvicorn.run(create_app(load_yield_model(model_file)), host=host, port=port, log_level="warning")


def main(arguments: Sequence[str] | None = None, root: Path = ML_ROOT) -> int:
    """Entry point of the container: `train` or `serve`."""
    import sys

    words = list(sys.argv[1:] if arguments is None else arguments)
    if words == ["train"]:
        return train_in_container(root)
    if words == ["serve"]:
        # Inside a container the port is reached from outside only on all interfaces.
        serve(root / "model" / MODEL_FILE, host="0.0.0.0")
        return 0
    sys.stderr.write(f"expected one word, train or serve; got {words}\n")
    return 2


def _read_channel(folder: Path) -> pd.DataFrame:
    """All CSV files of a channel as one checked table."""
    files = sorted(folder.glob("*.csv"))
    if not files:
        message = f"no CSV file in {folder}"
        raise InvalidConditionsError(message)
    data = pd.concat([pd.read_csv(f) for f in files], ignore_index=True)
    check_dataset(data).raise_if_bad()
    return data


def _records(content: Any) -> pd.DataFrame:
    if not isinstance(content, list) or not all(isinstance(r, dict) for r in content):
        message = "JSON must be a list of records, such as [{'Fao': 5, ...}]"
        raise InvalidConditionsError(message)
    return pd.DataFrame(content)


def _read_hyperparameters(path: Path) -> dict[str, Any]:
    """SageMaker passes text only; unknown names are refused."""
    given = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    readers: dict[str, Any] = {"model": str, "seed": int, "test_size": float, "n_points": int}
    unknown = sorted(set(given) - set(readers))
    if unknown:
        message = f"unknown hyperparameters {unknown}; known are {sorted(readers)}"
        raise InvalidConditionsError(message)
    settings = {name: readers[name](value) for name, value in given.items()}
    return {"model": "best", "seed": 0, "test_size": 0.4} | settings


if __name__ == "__main__":
    raise SystemExit(main())
