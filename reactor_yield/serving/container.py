"""The programs of the container: `train`, `serve` and `predict`, as SageMaker's contract has them.

`train` reads `input/config/hyperparameters.json` and the CSV files of channel `input/data/train`,
and writes `model/model.zip`, `model/report.json` and the monitor's baseline; when it fails it
writes why to `output/failure`. `serve` answers on port 8080. All paths are below `/opt/ml`, or
below `REACTOR_YIELD_ROOT`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reactor_yield.errors import InvalidConditionsError, ReactorYieldError
from reactor_yield.files import files_together, read_csv, write_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

ML_ROOT = Path("/opt/ml")
MODEL_FILE = "model.zip"
_CHANNELS = ("train", "training")
_NOBODY = 65534
_READERS: dict[str, Any] = {
    "model": str,
    "seed": int,
    "test_size": float,
    "n_points": int,
    "n_trees": int,
    "features": str,
    "target": str,
    "groups": str,
    "time": str,
    "gaps": str,
    "limits": str,
}


def main(arguments: Sequence[str] | None = None, root: Path | None = None) -> int:
    """Entry point: one word, `train`, `serve` or `predict`, and for the last two files."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    folder = root or Path(os.environ.get("REACTOR_YIELD_ROOT") or ML_ROOT)
    if words == ["train"]:
        return train(folder)
    if words == ["serve"]:
        return _serve(folder)
    if words[:1] == ["predict"]:
        from reactor_yield.cli import main as command

        model = str(folder / "model" / MODEL_FILE)
        return command(["predict", model, *words[1:]])
    sys.stderr.write(f"expected train, serve, or predict INPUT OUTPUT; got {words}\n")
    return 2


def train(root: Path = ML_ROOT) -> int:
    """Run SageMaker's `train`; return the exit code, 0 or 1."""
    try:
        _train(root)
    except BaseException as problem:  # the contract: whatever went wrong is told in this file
        sentence = f"{type(problem).__name__}: {problem}\n"
        sys.stderr.write(sentence)
        with contextlib.suppress(OSError):
            failure = root / "output" / "failure"
            failure.parent.mkdir(parents=True, exist_ok=True)
            write_text(failure, sentence[:1024])  # SageMaker shows no more
        return 1
    return 0


def _train(root: Path) -> None:
    from reactor_yield.data.split import split_dataset
    from reactor_yield.serving.baseline import describe_baseline
    from reactor_yield.yield_model import evaluate_yield_model, fit_yield_model

    settings = _read_hyperparameters(root / "input" / "config" / "hyperparameters.json")
    own = "features" in settings or "target" in settings
    data = _read_channel(root / "input" / "data", own=own)
    test_size = settings.pop("test_size")
    test = _read_optional_channel(root / "input" / "data")
    if test is None:
        split = split_dataset(data, test_size=test_size, seed=42)
        data, test = split.train, split.test
    model = fit_yield_model(data, **settings)
    report = {
        "fit": model.report.to_dict(),
        "test": evaluate_yield_model(model, test).to_dict(orient="index"),
    }
    statistics, constraints = describe_baseline(data, [*model.features, model.target])
    target = root / "model"
    (target / "baseline").mkdir(parents=True, exist_ok=True)
    with files_together() as outputs:
        outputs.write_by(target / MODEL_FILE, model.save)
        outputs.write_json(target / "report.json", report)
        outputs.write_json(target / "baseline" / "statistics.json", statistics)
        outputs.write_json(target / "baseline" / "constraints.json", constraints)
        outputs.write_csv(target / "baseline" / "reference.csv", test)


def _serve(root: Path) -> int:
    from reactor_yield.serving.app import serve

    model_file = root / "model" / MODEL_FILE
    try:
        # Inside a container the port is reached from outside only on all interfaces.
        serve(model_file, host="0.0.0.0", port=int(os.environ.get("REACTOR_YIELD_PORT") or 8080))
    except (ReactorYieldError, OSError, ValueError) as problem:
        sys.stderr.write(f"cannot serve {model_file}: {problem}\n")
        return 2
    return 0


def _drop_root(model_file: Path) -> None:
    """Serve as nobody: only `train` needs to write into folders that belong to root.

    Root stays where nobody could not read the model, or a sample of the inputs is to be written.
    """
    if os.name != "posix" or os.getuid() != 0 or os.environ.get("REACTOR_YIELD_CAPTURE_FOLDER"):
        return
    if not _is_open_to_all(model_file):
        sys.stderr.write(f"{model_file} is not readable for all; serving as root\n")
        return
    with contextlib.suppress(OSError):  # a sandbox may forbid it; then it is nobody's root anyway
        os.setgroups([])
        os.setgid(_NOBODY)
        os.setuid(_NOBODY)


def _is_open_to_all(path: Path) -> bool:
    """Whether anyone may read a file and reach it."""
    try:
        folders = [p.stat().st_mode & 0o001 for p in path.resolve().parents]
        return all(folders) and bool(path.stat().st_mode & 0o004)
    except OSError:
        return False


def _read_channel(folder: Path, *, own: bool) -> pd.DataFrame:
    """All CSV files of the training channel as one checked table."""
    channel = next((folder / c for c in _CHANNELS if (folder / c).is_dir()), folder / "train")
    data = _read_folder(channel)
    if not own:
        from reactor_yield.data.check import check_dataset

        check_dataset(data).raise_if_bad()
    return data


def _read_optional_channel(folder: Path) -> pd.DataFrame | None:
    found = [folder / c for c in ("test", "validation") if any((folder / c).glob("*.csv"))]
    return _read_folder(found[0]) if found else None


def _read_folder(folder: Path) -> pd.DataFrame:
    import pandas as pd

    files = sorted(folder.glob("*.csv"))
    if not files:
        message = f"no CSV file in {folder}"
        raise InvalidConditionsError(message)
    tables = [read_csv(f) for f in files]
    for table in tables:
        table.attrs.clear()
    odd = [f.name for f, t in zip(files, tables, strict=True) if list(t) != list(tables[0])]
    if odd:
        message = f"{odd} have other columns than {files[0].name}"
        raise InvalidConditionsError(message)
    return pd.concat(tables, ignore_index=True)


def _read_hyperparameters(path: Path) -> dict[str, Any]:
    """SageMaker passes text only; unknown names are refused."""
    given = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if not isinstance(given, dict):
        message = f"{path} must hold an object of names and texts"
        raise InvalidConditionsError(message)
    # Those that SageMaker's own tools add are not meant for us.
    given = {k: v for k, v in given.items() if not k.startswith(("sagemaker_", "_tuning_"))}
    unknown = sorted(set(given) - set(_READERS))
    if unknown:
        message = f"unknown hyperparameters {unknown}; known are {sorted(_READERS)}"
        raise InvalidConditionsError(message)
    settings = {name: _READERS[name](value) for name, value in given.items()}
    if "features" in settings:
        settings["features"] = [n.strip() for n in settings["features"].split(",")]
        settings.setdefault("gaps", "impute")
    if "limits" in settings:
        from reactor_yield.arguments import parse_limits

        settings["limits"] = parse_limits(settings["limits"], what="limits")
    return {"model": "best", "seed": 0, "test_size": 0.4} | settings


def run_program() -> int:
    """Run as a program of the container: `serve` gives up root, `train` must not."""
    if sys.argv[1:] == ["serve"]:
        root = Path(os.environ.get("REACTOR_YIELD_ROOT") or ML_ROOT)
        _drop_root(root / "model" / MODEL_FILE)
    return main()


if __name__ == "__main__":
    raise SystemExit(run_program())
