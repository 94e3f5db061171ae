"""One file per model: written whole or not at all, read without executing anything in it."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor

from reactor_yield.arguments import PATH, check_arguments
from reactor_yield.errors import InvalidModelFileError, MissingDependencyError, StorageError
from reactor_yield.files import write_bytes
from reactor_yield.yield_model.conformal import LocalErrors
from reactor_yield.yield_model.encoding import Encoding
from reactor_yield.yield_model.error_split import ErrorSplit
from reactor_yield.yield_model.gaussian_process import GaussianProcess
from reactor_yield.yield_model.model import YieldModel
from reactor_yield.yield_model.neighbourhood import Neighbourhood
from reactor_yield.yield_model.report import YieldReport
from reactor_yield.yield_model.ridge import RidgePredictor
from reactor_yield.yield_model.trees import TreesPredictor

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reactor_yield.yield_model.predictor import Predictor

FORMAT = "reactor_yield.yield_model"
FORMAT_VERSION = 2
TRUSTED_TYPES = (
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.tree._tree.Tree",
)
"""All that skops may build beyond what it trusts by itself: the two kinds of fitted trees."""
_LARGEST = 1 << 29
"""Bytes that the entries of a file may unpack to together; more is no yield model."""
_NUMBERS: Mapping[str, Any] = {"gaussian_process": GaussianProcess, "ridge": RidgePredictor}


def save_yield_model(model: YieldModel, path: Path | str) -> None:
    """Write a model as one zip archive.

    `model.json` holds schema, training range, intervals, report and, but for trees, the whole
    model; fitted trees are in `estimator.skops`; `checksums.json` has the SHA-256 of both.
    """
    check_arguments(path=(path, PATH))
    content: dict[str, Any] = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "features": list(model.features),
        "target": model.target,
        "training_range": {k: list(v) for k, v in model.training_range.items()},
        "baseline": dict(model.baseline),
        "limits": list(model.limits),
        "error_split": model.error_split.to_dict(),
        "offset": model.offset,
        "inflation": model.inflation,
        "report": model.report.to_dict(),
        "encoding": model.encoding.to_dict(),
        "neighbourhood": model.neighbourhood.to_dict(),
        "local_errors": model.local_errors.to_dict(),
    }
    entries: dict[str, bytes] = {}
    if isinstance(model.predictor, TreesPredictor):
        entries["estimator.skops"] = _load_skops().dumps(model.predictor.estimator)
    for name, kind in _NUMBERS.items():
        if isinstance(model.predictor, kind):
            content[name] = model.predictor.to_dict()
    entries["model.json"] = json.dumps(content, indent=1).encode()
    entries["checksums.json"] = json.dumps(compute_checksums(entries), indent=1).encode()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    write_bytes(path, packed.getvalue())


def load_yield_model(path: Path | str) -> YieldModel:
    """Read a model written by `YieldModel.save`.

    Raises
    ------
    InvalidModelFileError
        When the file is no such archive, is of another format version, was changed since it was
        written, or holds a type that is not a fitted tree model; nothing in it is executed.
    StorageError
        When there is no such file, or it cannot be read.
    """
    check_arguments(path=(path, PATH))
    if not Path(path).is_file():
        raise StorageError(f"path: there is no file {str(path)!r}")
    entries = _read_entries(path)
    try:
        content = json.loads(entries["model.json"])
    except (KeyError, ValueError, RecursionError) as error:
        message = f"{path} is not a saved yield model: {error!r}"
        raise InvalidModelFileError(message) from error
    if not isinstance(content, dict):
        message = f"{path} is not a saved yield model: its model.json is no object"
        raise InvalidModelFileError(message)
    if content.get("format") != FORMAT or content.get("format_version") != FORMAT_VERSION:
        message = (
            f"{path}: expected {FORMAT} version {FORMAT_VERSION}, found {content.get('format')!r} "
            f"version {content.get('format_version')!r}; fit and save the model again"
        )
        raise InvalidModelFileError(message)
    _check_unchanged(path, entries)
    try:
        return _rebuild(content, entries.get("estimator.skops"))
    except MissingDependencyError:
        raise
    except Exception as error:  # whatever a damaged file makes of the packages that read it
        message = f"{path}: damaged model: {error!r}"
        raise InvalidModelFileError(message) from error


def compute_checksums(entries: Mapping[str, bytes]) -> dict[str, str]:
    """SHA-256 of each entry but the checksums themselves."""
    return {
        name: hashlib.sha256(data).hexdigest()
        for name, data in sorted(entries.items())
        if name != "checksums.json"
    }


def _read_entries(path: Path | str) -> dict[str, bytes]:
    """Content of the archive, unless it would unpack to more than a model can be."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(info.file_size for info in archive.infolist())
            entries = {}
            for info in archive.infolist() if size <= _LARGEST else ():
                with archive.open(info) as packed:  # its real size need not be the one stated
                    entries[info.filename] = packed.read(info.file_size + 1)
    except OSError as error:
        raise StorageError(f"path: {str(path)!r} cannot be read: {error.strerror}") from error
    except Exception as error:  # zipfile raises many kinds, whatever the damage
        message = f"{path} is not a saved yield model: {error!r}"
        raise InvalidModelFileError(message) from error
    if size > _LARGEST:
        message = f"{path} is not a saved yield model: it unpacks to more than 512 MB"
        raise InvalidModelFileError(message)
    return entries


def _check_unchanged(path: Path | str, entries: Mapping[str, bytes]) -> None:
    try:
        written = json.loads(entries["checksums.json"])
    except (KeyError, ValueError, RecursionError) as error:
        message = f"{path}: damaged model: its checksums cannot be read: {error!r}"
        raise InvalidModelFileError(message) from error
    if written != compute_checksums(entries):
        message = f"{path}: damaged model: its content is not what was written; fit it again"
        raise InvalidModelFileError(message)


def _rebuild(content: Mapping[str, Any], trees: bytes | None) -> YieldModel:
    report = dict(content["report"])
    report["cross_validation"] = {k: tuple(v) for k, v in report["cross_validation"].items()}
    low, high = content["limits"]
    return YieldModel(
        features=tuple(content["features"]),
        target=content["target"],
        training_range={k: (v[0], v[1]) for k, v in content["training_range"].items()},
        baseline=content["baseline"],
        report=YieldReport(**report),
        encoding=Encoding.from_dict(content["encoding"]),
        neighbourhood=Neighbourhood.from_dict(content["neighbourhood"]),
        predictor=_rebuild_predictor(content, trees),
        local_errors=LocalErrors.from_dict(content["local_errors"]),
        error_split=ErrorSplit.from_dict(content["error_split"]),
        limits=(float(low), float(high)),
        offset=float(content["offset"]),
        inflation=float(content["inflation"]),
    )


def _load_skops() -> Any:
    """Import skops, which takes a second and only trees need, or name the extra that installs it.

    Raises
    ------
    MissingDependencyError
    """
    try:
        import skops.io
    except ImportError as error:
        message = 'a yield model of trees is kept by skops: pip install "stnopt[reactor]"'
        raise MissingDependencyError(message) from error
    return skops.io


def _rebuild_predictor(content: Mapping[str, Any], trees: bytes | None) -> Predictor:
    for name, kind in _NUMBERS.items():
        if name in content:
            predictor: Predictor = kind.from_dict(content[name])
            return predictor
    if trees is None:
        message = "there is no regressor in it"
        raise ValueError(message)
    skops_io = _load_skops()
    unknown = set(skops_io.get_untrusted_types(data=trees)) - set(TRUSTED_TYPES)
    if unknown:
        message = f"types {sorted(unknown)} are not allowed in a yield model"
        raise ValueError(message)
    estimator = skops_io.load(io.BytesIO(trees), trusted=list(TRUSTED_TYPES))
    if not isinstance(estimator, RandomForestRegressor | HistGradientBoostingRegressor):
        message = f"a {type(estimator).__name__} is not a yield model's estimator"
        raise TypeError(message)
    return TreesPredictor(estimator=estimator)
