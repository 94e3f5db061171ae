"""Every file of the package goes through here: tables read in one way, outputs written whole.

An output is first written beside its place under another name, forced to the disk, and only then
renamed: a reader, a kill or a full disk never meets half a file. `files_together` does so for all
the files of one command.
"""

from __future__ import annotations

import contextlib
import io
import json
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from reactor_yield.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    import pandas as pd


def is_s3(location: Path | str) -> bool:
    """Whether a location is in S3 rather than a local file."""
    return str(location).startswith("s3://")


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write a file whole or not at all.

    Raises
    ------
    StorageError
        When it cannot be written; the file that was there before is then untouched.
    """
    with files_together() as outputs:
        outputs.write_bytes(path, content)


def write_text(path: Path | str, text: str) -> None:
    """Write a UTF-8 text whole or not at all; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_json(path: Path | str, content: object) -> None:
    """Write `json_bytes` whole or not at all; see `write_bytes`."""
    write_bytes(path, json_bytes(content))


def json_bytes(content: object) -> bytes:
    """Strict, indented JSON as UTF-8; numbers that are not finite become `null`."""
    return (json.dumps(_finite(content), indent=2, allow_nan=False) + "\n").encode()


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Turn a table into UTF-8 CSV, without its index."""
    buffer = io.StringIO()
    table.to_csv(buffer, index=False, lineterminator="\n")
    return buffer.getvalue().encode()


def check_output(location: Path | str) -> None:
    """Refuse an output that cannot be written, before the work for it is done.

    Raises
    ------
    StorageError
        When the location is a folder, its folder is missing or not writable.
    """
    if is_s3(location):
        from reactor_yield.serving.aws import check_bucket

        check_bucket(str(location))
        return
    path = Path(location)
    if path.is_dir():
        message = f"{path} is a folder; name a file to write"
        raise StorageError(message)
    if not path.parent.is_dir():
        message = f"cannot write {path}: there is no folder {path.parent}"
        raise StorageError(message)
    if not os.access(path.parent, os.W_OK):
        message = f"cannot write {path}: no permission to write into {path.parent}"
        raise StorageError(message)


def check_folder(location: Path | str) -> None:
    """Refuse a folder that cannot be made or written to, before the work; nothing is made yet.

    Raises
    ------
    StorageError
        When it, or what should hold it, is a file or not writable; of S3, when there is no bucket.
    """
    if is_s3(location):
        check_output(f"{str(location).rstrip('/')}/x")
        return
    nearest = Path(location).absolute()
    try:
        while not nearest.exists() and nearest != nearest.parent:
            nearest = nearest.parent
    except OSError as problem:  # such as a name that is too long
        message = f"cannot make the folder {location}: {problem.strerror}"
        raise StorageError(message) from problem
    if not nearest.is_dir():
        message = f"cannot make the folder {location}: {nearest} is a file"
        raise StorageError(message)
    if not os.access(nearest, os.W_OK):
        message = f"cannot write into {location}: no permission to write into {nearest}"
        raise StorageError(message)


class FilesTogether:
    """Outputs of one command, kept aside until all are there; made by `files_together`.

    What is written into it appears when the `with` block ends without an error: files in S3 first,
    since only they can still fail then, after that the local ones, by renaming.
    """

    def __init__(self) -> None:
        self._local: list[tuple[Path, Path]] = []
        self._remote: list[tuple[Path, str]] = []
        self._scratch: tempfile.TemporaryDirectory[str] | None = None

    def write_bytes(self, location: Path | str, content: bytes) -> None:
        """Keep bytes aside for a local file or `s3://bucket/key`."""
        self.write_by(location, lambda path: path.write_bytes(content))

    def write_text(self, location: Path | str, text: str) -> None:
        """Keep a UTF-8 text aside."""
        self.write_bytes(location, text.encode())

    def write_json(self, location: Path | str, content: object) -> None:
        """Keep `json_bytes` aside."""
        self.write_bytes(location, json_bytes(content))

    def write_csv(self, location: Path | str, table: pd.DataFrame) -> None:
        """Keep a table aside, without its index."""
        self.write_bytes(location, csv_bytes(table))

    def write_by(self, location: Path | str, write: Callable[[Path], object]) -> None:
        """Let a function write a file at a path of our choice, and keep it aside."""
        aside = self._aside(location)
        try:
            write(aside)
            with aside.open("rb") as handle:
                os.fsync(handle.fileno())
        except OSError as problem:
            message = f"cannot write {location}: {problem.strerror or problem}"
            raise StorageError(message) from problem

    def _aside(self, location: Path | str) -> Path:
        if is_s3(location):
            if self._scratch is None:
                self._scratch = tempfile.TemporaryDirectory()
            aside = Path(self._scratch.name) / f"{len(self._remote)}{Path(str(location)).suffix}"
            self._remote.append((aside, str(location)))
            return aside
        path = Path(location)
        check_output(path)
        # The suffix stays: what writes by name (a zip, a picture) looks at it.
        aside = path.with_name(f".{path.stem}.{os.getpid()}-{len(self._local)}.part{path.suffix}")
        self._local.append((aside, path))
        return aside

    def _appear(self) -> None:
        if self._remote:
            from reactor_yield.serving.aws import upload

            for aside, uri in self._remote:
                upload(aside, uri)
        for aside, path in self._local:
            if path.exists():
                aside.chmod(path.stat().st_mode & 0o777)
            else:
                aside.chmod(0o666 & ~_umask())
        for aside, path in self._local:
            try:
                aside.replace(path)
            except OSError as problem:
                message = f"cannot write {path}: {problem.strerror or problem}"
                raise StorageError(message) from problem
        for folder in {path.parent for _, path in self._local}:
            _sync_folder(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._appear()
        finally:
            for aside, _ in self._local:
                aside.unlink(missing_ok=True)
            if self._scratch is not None:
                self._scratch.cleanup()


def files_together() -> FilesTogether:
    """Open a set of outputs that appear together, or not at all.

    Examples
    --------
    >>> with files_together() as outputs:  # doctest: +SKIP
    ...     outputs.write_csv("predictions.csv", table)
    ...     outputs.write_json("report.json", report)
    """
    return FilesTogether()


@contextlib.contextmanager
def local_copy(location: Path | str) -> Iterator[Path]:
    """Local path of a file that may be in S3; a downloaded copy goes away afterwards."""
    if not is_s3(location):
        path = Path(location)
        if not path.is_file():
            what = "is a folder, not a file" if path.is_dir() else "does not exist"
            message = f"{path} {what}"
            raise StorageError(message)
        yield path
        return
    from reactor_yield.serving.aws import download

    with tempfile.TemporaryDirectory() as folder:
        # The name stays recognisable: messages about the content name it.
        copy = Path(folder) / (Path(str(location)).name or "file")
        download(str(location), copy)
        yield copy


def read_csv(location: Path | str) -> pd.DataFrame:
    """Read a table from a local CSV file or `s3://bucket/key`; see `reactor_yield.tables`.

    Raises
    ------
    InvalidFileError
        When it cannot be read for certain: file, line and column are named.
    StorageError
        When there is no such file.
    """
    from reactor_yield.tables import parse_csv

    with local_copy(location) as path:
        try:
            content = path.read_bytes()
        except OSError as problem:
            message = f"cannot read {location}: {problem.strerror or problem}"
            raise StorageError(message) from problem
    return parse_csv(content, name=str(location))


def read_json(location: Path | str) -> Any:
    """Read a JSON file, local or in S3; what it cannot be is an error that names the file."""
    with local_copy(location) as path:
        try:
            return json.loads(path.read_text(encoding="utf-8-sig"))
        except (ValueError, RecursionError) as problem:
            message = f"{location} is not JSON: {problem}"
            raise StorageError(message) from problem


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Make the renames themselves durable, where the system can."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError:
        pass  # some network file systems cannot
    finally:
        os.close(handle)
