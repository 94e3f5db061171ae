"""What labelling has learned, kept on disk as it arrives: one JSON record a line.

An answer (one MILP) is written before what it settles, with the schedules behind it, so that a
later run starts from the same knowledge and asks no question twice, undecided ones included.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from stnopt.errors import InvalidInputError
from stnopt.feasibility.oracle import AchievedPoint, Answer
from stnopt.files import RecordLog, lock_file, record_check

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from numpy.typing import NDArray

Target: TypeAlias = tuple[float, ...]

_FORMAT = "stnopt labels 3"
#: Of a release whose records had no check; such a file is read, and gets records that have one.
_OLD_FORMAT = "stnopt labels 2"
#: What reading a line may raise that is no record of ours.
_UNREADABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)
#: Parts of the scope that say how long a question may take: what was answered holds under any.
_LIMITS = ("solve_limit", "time_limit")


class LabelStore:
    """A file of answers and labels for one plant, horizon and set of options.

    While it is open for writing it is locked: another process that opens it then is refused.

    Every record is written and flushed to disk at once. A record that was cut off at the end of the
    file is dropped when the file is opened; one that was damaged is refused. While the disk is
    full, records are kept in memory, a warning says so, and every later write tries again.

    Limits of a solve may be raised from one run to the next: answers are kept, and questions that a
    limit left undecided may be asked again.

    Parameters
    ----------
    path : path or None
        None keeps nothing.
    scope : mapping
        What the labels hold for; a file with another one is refused, unless it only has lower
        limits (`solve_limit`, `time_limit`; None is none).

    Raises
    ------
    InvalidInputError
        The file belongs to something else, a record inside it cannot be read, another process is
        writing it, or it cannot be opened.
    """

    def __init__(self, path: Path | str | None, scope: Mapping[str, Any]) -> None:
        self.path = None if path is None else Path(path)
        self._scope = dict(scope)
        header = {"format": _FORMAT, "hash": _digest(scope), "scope": self._scope}
        self._header = json.dumps(header, sort_keys=True).encode() + b"\n"
        self._log: RecordLog | None = None
        self._load()

    def _load(self) -> None:
        """Learn what the file holds, and nothing else."""
        self.labels: dict[Target, int] = {}
        self.answers: dict[Target, tuple[Answer, list[AchievedPoint], tuple[str, ...]]] = {}
        self.waves: list[list[Target]] = []
        self._good = 0
        self._limits = {key: self._scope[key] for key in _LIMITS if key in self._scope}
        self._is_raised = False
        if self.path is not None and self.path.exists():
            try:
                content = self.path.read_bytes()
            except OSError as error:
                raise self._unusable(error) from error
            self._read(content)

    def _unusable(self, error: OSError) -> InvalidInputError:
        reason = error.strerror or error
        return InvalidInputError(f"store {str(self.path)!r} cannot be used: {reason}")

    def _read(self, content: bytes) -> None:
        complete = content[: content.rfind(b"\n") + 1]  # what follows was cut off while written
        if not complete and self._header.startswith(content):
            return
        lines = complete.split(b"\n")[:-1]
        try:
            found = json.loads((lines or [content])[0])
            is_old = found["format"] == _OLD_FORMAT
            theirs = found["scope"] if is_old or found["format"] == _FORMAT else {}
            is_whole = found["hash"] == _digest(theirs)
        except _UNREADABLE:
            raise InvalidInputError(
                f"store {str(self.path)!r}: not a file of labels that this release wrote; choose"
                " another file"
            ) from None
        ours, wanted = self._scope, self._limits
        self._limits = {key: theirs.get(key) for key in wanted}
        differs = [
            f"{key}: {theirs.get(key)!r} there, {ours.get(key)!r} here"
            for key in sorted({*theirs, *ours})
            if key not in wanted and theirs.get(key) != ours.get(key)
        ]
        if differs or not is_whole:
            raise InvalidInputError(
                f"store {str(self.path)!r} was made for another plant, horizon or set of options"
                f" ({'; '.join(differs) or 'its hash differs'}); choose another file or delete it"
            )
        for number, line in enumerate(lines[1:], start=2):
            try:
                record = json.loads(line)
                check = record.pop("check", None)
                if check != record_check(record) and not (is_old and check is None):
                    raise ValueError("it was damaged after it was written")
                self._take(record)
            except _UNREADABLE as error:
                raise InvalidInputError(
                    f"store {str(self.path)!r}, line {number}: unreadable record ({error}); delete"
                    " that line to go on from the others"
                ) from error
        self._good = len(complete)
        lower = [
            f"{key}: {self._limits[key]!r} there, {wanted[key]!r} here"
            for key in wanted
            if _as_number(wanted[key]) < _as_number(self._limits[key])
        ]
        if lower:
            raise InvalidInputError(
                f"store {str(self.path)!r} was made for another plant, horizon or set of options"
                f" ({'; '.join(lower)}): limits can be raised, not lowered; choose another file"
            )
        if wanted != self._limits:
            self._raise_limits(wanted)
            self._is_raised = True

    def _raise_limits(self, limits: dict[str, Any]) -> None:
        """Forget what lower limits left undecided: it may be asked again."""
        self._limits = dict(limits)
        again = {target for target, (answer, _, _) in self.answers.items() if answer.is_undecided}
        self.answers = {t: answer for t, answer in self.answers.items() if t not in again}
        self.waves = [[t for t in wave if t in self.answers] for wave in self.waves]

    def _take(self, record: dict[str, Any]) -> None:
        if "label" in record:
            self.labels[tuple(record["target"])] = record["label"]
            return
        if "limits" in record:
            self._raise_limits(record["limits"])
            return
        if "wave" in record:
            self.waves.append([tuple(target) for target in record["wave"]])
            return
        achieved_points = [_read_achieved(each) for each in record["reaches"]]
        missed_by = record["missed_by"]
        answer = Answer(
            missed_by=None if missed_by is None else float(missed_by),
            achieved=achieved_points[0] if achieved_points else None,
            n_solves=record["n_solves"],
        )
        self.answers[tuple(record["asked"])] = (
            answer,
            achieved_points[1:],
            tuple(record["limited"]),
        )

    def __enter__(self) -> Self:
        """Open and lock the file for appending, without what was cut off at its end."""
        if self.path is not None:
            what = f"store {str(self.path)!r}"
            try:
                handle = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
            except OSError as error:
                raise self._unusable(error) from error
            try:
                lock_file(handle, what)
                self._load()  # another process may have written since
            except BaseException:
                os.close(handle)
                raise
            self._log = RecordLog(handle, self._good, what)
            if not self._good:
                self._log.add_lines(self._header)
            elif self._is_raised:
                self._write({"limits": self._limits})
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Try once more to write what the disk refused, and close the file."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def add_wave(self, targets: NDArray[np.float64]) -> None:
        """Keep which targets are asked about together: a later run finishes what was begun."""
        self.waves.append([tuple(target) for target in targets.tolist()])
        self._write({"wave": targets.tolist()})

    def add_answer(
        self,
        target: NDArray[np.float64],
        answer: Answer,
        spread: list[AchievedPoint],
        limited: tuple[str, ...],
    ) -> None:
        """Keep one answer and the schedules behind it."""
        self.answers[tuple(target.tolist())] = (answer, spread, limited)
        achieved_points = [] if answer.achieved is None else [answer.achieved, *spread]
        missed_by = answer.missed_by
        self._write(
            {
                "asked": target.tolist(),
                "missed_by": "inf" if missed_by == math.inf else missed_by,
                "n_solves": answer.n_solves,
                "limited": list(limited),
                "reaches": [_write_achieved(each) for each in achieved_points],
            }
        )

    def add_labels(self, targets: NDArray[np.float64], label: int) -> None:
        """Keep labels that are facts."""
        self._write(*({"target": target.tolist(), "label": label} for target in targets))

    def _write(self, *records: dict[str, Any]) -> None:
        if self._log is not None and records:
            self._log.add(*records)


def _digest(scope: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(dict(scope), sort_keys=True).encode()).hexdigest()


def _as_number(limit: float | None) -> float:
    return math.inf if limit is None else limit


def _write_achieved(achieved: AchievedPoint) -> dict[str, Any]:
    record: dict[str, Any] = {
        "amounts": achieved.amounts.tolist(),
        "runs": [[*batch, *values] for batch, values in achieved.runs.items()],
    }
    if achieved.served:
        record["served"] = achieved.served
    return record


def _read_achieved(record: dict[str, Any]) -> AchievedPoint:
    runs = {
        (task, unit, event, span): (start, size)
        for task, unit, event, span, start, size in record["runs"]
    }
    served = tuple(
        tuple((float(time), float(amount)) for time, amount in parts)
        for parts in record.get("served", ())
    )
    return AchievedPoint(amounts=np.array(record["amounts"], dtype=float), runs=runs, served=served)
