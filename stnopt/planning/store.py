"""What planning has learned of plants, on disk as it arrives: one JSON record a line."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from stnopt.errors import InvalidInputError
from stnopt.feasibility.refinement import Limit
from stnopt.files import RecordLog, lock_file, record_check
from stnopt.planning.cost_cut import CostCut
from stnopt.planning.knowledge import Answer, Knowledge
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule

if TYPE_CHECKING:
    from stnopt.planning.question import PeriodQuestion

_FORMAT = "stnopt plan store 2"
#: Of before records had a checksum.
_OLD_FORMAT = "stnopt plan store 1"
_UNREADABLE = (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError)


class PlanStore:
    """A file of schedules, proofs and answers, by the question that they belong to.

    Any number of plants and problems may share one: what is known of a plant helps every later
    plan. While it is open, no other process may write it. A record that was cut off at the end is
    dropped, one that was changed is refused. Every schedule is replayed before it is believed.

    Parameters
    ----------
    path : path or None
        None keeps nothing.

    Raises
    ------
    InvalidInputError
        The file is no such store, cannot be opened, or another process is writing it.
    """

    def __init__(self, path: Path | str | None) -> None:
        self.path = None if path is None else Path(path)
        self._log: RecordLog | None = None
        self._records: dict[str, list[dict[str, Any]]] = {}
        self._saved: dict[str, dict[str, int]] = {}
        self._answers: dict[str, dict[tuple[object, ...], Answer]] = {}
        if self.path is not None:
            self._open(self.path)

    def _open(self, path: Path) -> None:
        what = f"store {str(path)!r}"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InvalidInputError(f"{what} cannot be used: {error.strerror or error}") from error
        try:
            lock_file(handle, what)
            content = path.read_bytes()
            complete = content[: content.rfind(b"\n") + 1]
            header = json.dumps({"format": _FORMAT}).encode() + b"\n"
            if complete or not header.startswith(content):
                self._read(complete.split(b"\n")[:-1], what)
        except OSError as error:
            os.close(handle)
            raise InvalidInputError(f"{what} cannot be used: {error.strerror or error}") from error
        except BaseException:
            os.close(handle)
            raise
        self._log = RecordLog(handle, len(complete), what)
        if not complete:
            self._log.add_lines(header)

    def _read(self, lines: list[bytes], what: str) -> None:
        """Take the records of a file; refuse one that is no such file, or a record was changed."""
        try:
            found = json.loads(lines[0])["format"]
        except _UNREADABLE:
            found = None
        if found not in (_FORMAT, _OLD_FORMAT):
            raise InvalidInputError(f"{what}: not a file that plans were kept in")
        for number, line in enumerate(lines[1:], start=2):
            try:
                record = json.loads(line)
                check = record.pop("check", None)
                if check != record_check(record) and not (found == _OLD_FORMAT and check is None):
                    raise ValueError("it was damaged after it was written")
                self._records.setdefault(record["question"], []).append(record)
            except _UNREADABLE as error:
                raise InvalidInputError(
                    f"{what}, line {number}: unreadable record ({error}); delete that line to go "
                    "on from the others"
                ) from error

    def load(self, knowledge: Knowledge) -> None:
        """Add what the file knows of a question; what is known already is not written to it."""
        question = knowledge.question
        for record in self._records.get(question.key, []):
            try:
                _RESTORE[record["kind"]](record, knowledge)
            except _UNREADABLE as error:
                raise InvalidInputError(
                    f"store {str(self.path)!r}: a record of kind {record.get('kind')!r} cannot be "
                    f"understood ({error}); delete its line, or choose another file"
                ) from error
        self._saved[question.key] = _sizes(knowledge)
        self._answers[question.key] = dict(knowledge.answers)

    def save(self, knowledge: Knowledge) -> None:
        """Append what has become known since the last time."""
        key = knowledge.question.key
        before = self._saved.get(key, {})
        self._saved[key] = _sizes(knowledge)
        if self._log is None:
            return
        answers = self._answers.setdefault(key, {})
        records = list(_records(knowledge, before))
        for asked, answer in knowledge.answers.items():
            if answers.get(asked) is not answer:
                answers[asked] = answer
                records.append(_answer_record(asked, answer))
        if records:
            self._log.add(*({"question": key, **record} for record in records))

    def close(self) -> None:
        """Let the file go."""
        if self._log is not None:
            self._log.close()
            self._log = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _sizes(knowledge: Knowledge) -> dict[str, int]:
    return {
        "made": len(knowledge.made),
        "limits": len(knowledge.limits),
        "event_limits": len(knowledge.event_limits),
        **{f"cost cuts {key}": len(row) for key, row in knowledge.cost_cuts.items()},
    }


def _records(knowledge: Knowledge, before: dict[str, int]) -> Any:
    for _, schedule in knowledge.made[before.get("made", 0) :]:
        yield {"kind": "made", "schedule": write_schedule(schedule)}
    for name, kind in (("limits", "limit"), ("event_limits", "event limit")):
        for limit in getattr(knowledge, name)[before.get(name, 0) :]:
            yield {"kind": kind, **asdict(limit)}
    for key, row in knowledge.cost_cuts.items():
        for cut in row[before.get(f"cost cuts {key}", 0) :]:
            yield {"kind": "cost cut", "costs": key, **asdict(cut)}


def _answer_record(asked: tuple[object, ...], answer: Answer) -> dict[str, Any]:
    return {
        "kind": "answer",
        "key": list(asked),
        "amounts": answer.amounts.tolist(),
        "verdict": answer.verdict,
        "schedule": None if answer.schedule is None else write_schedule(answer.schedule),
    }


def write_schedule(schedule: Schedule) -> dict[str, Any]:
    """Write a schedule of a plant that starts at rest as plain values."""
    return {
        "horizon": schedule.horizon,
        "final_stock": dict(schedule.final_stock),
        "batches": [asdict(batch) for batch in schedule.batches],
    }


def read_schedule(record: dict[str, Any], question: PeriodQuestion) -> Schedule | None:
    """Read a schedule back; None if the replay refuses it."""
    schedule = Schedule(
        batches=tuple(Batch(**batch) for batch in record["batches"]),
        final_stock=record["final_stock"],
        horizon=record["horizon"],
    )
    return None if find_violations(schedule, question.network) else schedule


def _restore_made(record: dict[str, Any], knowledge: Knowledge) -> None:
    schedule = read_schedule(record["schedule"], knowledge.question)
    if schedule is not None:
        knowledge.add_schedule(schedule)


def _limit(record: dict[str, Any]) -> Limit:
    return Limit(
        lower=tuple(record["lower"]), weights=tuple(record["weights"]), bound=record["bound"]
    )


def _restore_answer(record: dict[str, Any], knowledge: Knowledge) -> None:
    schedule = None
    if record["schedule"] is not None:
        schedule = read_schedule(record["schedule"], knowledge.question)
        if schedule is None:
            return
    knowledge.answers[tuple(record["key"])] = Answer(
        amounts=np.array(record["amounts"]), verdict=record["verdict"], schedule=schedule
    )


def _restore_cut(record: dict[str, Any], knowledge: Knowledge) -> None:
    cut = CostCut(
        products=tuple(record["products"]),
        lower=tuple(record["lower"]),
        weights=tuple(record["weights"]),
        base=record["base"],
    )
    knowledge.cost_cuts.setdefault(record["costs"], []).append(cut)


_RESTORE = {
    "made": _restore_made,
    "limit": lambda record, knowledge: knowledge.limits.append(_limit(record)),
    "event limit": lambda record, knowledge: knowledge.event_limits.append(_limit(record)),
    "answer": _restore_answer,
    "cost cut": _restore_cut,
}
