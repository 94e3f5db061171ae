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
from stnopt.files import lock_file
from stnopt.planning.cost_cut import CostCut
from stnopt.planning.knowledge import Answer, Knowledge
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule

if TYPE_CHECKING:
    from stnopt.planning.question import PeriodQuestion

_FORMAT = "stnopt plan store 1"


class PlanStore:
    """A file of schedules, proofs and answers, by the question that they belong to.

    Any number of plants and problems may share one: what is known of a plant helps every later
    plan. While it is open, no other process may write it. A record that was cut off at the end is
    dropped. Every schedule is replayed before it is believed.

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
        self._file: int | None = None
        self._records: dict[str, list[dict[str, Any]]] = {}
        self._saved: dict[str, dict[str, int]] = {}
        self._answers: dict[str, dict[tuple[object, ...], Answer]] = {}
        if self.path is not None:
            try:
                self._open(self.path)
            except BaseException:
                self.close()  # or it would stay locked
                raise

    def _open(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
            lock_file(self._file, f"store {str(path)!r}")
            content = path.read_bytes()
        except OSError as error:
            raise InvalidInputError(
                f"store {str(path)!r} cannot be used: {error.strerror or error}"
            ) from error
        complete = content[: content.rfind(b"\n") + 1]
        header = json.dumps({"format": _FORMAT}).encode() + b"\n"
        if not complete:
            if not header.startswith(content):
                raise InvalidInputError(f"store {str(path)!r}: not a file that plans were kept in")
            complete = header
            os.ftruncate(self._file, 0)
            os.write(self._file, header)
        try:
            first, *lines = [json.loads(line) for line in complete.split(b"\n")[:-1]]
            ours = first["format"] == _FORMAT
            for record in lines if ours else ():
                self._records.setdefault(record["question"], []).append(record)
        except (ValueError, KeyError, TypeError):
            ours = False
        if not ours:
            raise InvalidInputError(
                f"store {str(path)!r}: not a file that plans were kept in, or damaged"
            )
        os.ftruncate(self._file, len(complete))
        os.lseek(self._file, 0, os.SEEK_END)

    def load(self, knowledge: Knowledge) -> None:
        """Add what the file knows of a question; what is known already is not written to it."""
        question = knowledge.question
        for record in self._records.get(question.key, []):
            _RESTORE[record["kind"]](record, knowledge)
        self._saved[question.key] = _sizes(knowledge)
        self._answers[question.key] = dict(knowledge.answers)

    def save(self, knowledge: Knowledge) -> None:
        """Append what has become known since the last time."""
        key = knowledge.question.key
        before = self._saved.get(key, dict.fromkeys(_sizes(knowledge), 0))
        self._saved[key] = _sizes(knowledge)
        if self._file is None:
            return
        answers = self._answers.setdefault(key, {})
        records = list(_records(knowledge, before))
        for asked, answer in knowledge.answers.items():
            if answers.get(asked) is not answer:
                answers[asked] = answer
                records.append(_answer_record(asked, answer))
        if not records:
            return
        lines = [json.dumps({"question": key, **record}, allow_nan=False) for record in records]
        os.write(self._file, "".join(line + "\n" for line in lines).encode())
        os.fsync(self._file)

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _sizes(knowledge: Knowledge) -> dict[str, int]:
    return {
        "made": len(knowledge.made),
        "limits": len(knowledge.limits),
        "event_limits": len(knowledge.event_limits),
        "cost_cuts": sum(map(len, knowledge.cost_cuts.values())),
    }


def _records(knowledge: Knowledge, before: dict[str, int]) -> Any:
    for _, schedule in knowledge.made[before["made"] :]:
        yield {"kind": "made", "schedule": write_schedule(schedule)}
    for name, kind in (("limits", "limit"), ("event_limits", "event limit")):
        for limit in getattr(knowledge, name)[before[name] :]:
            yield {"kind": kind, **asdict(limit)}
    cuts = [(key, cut) for key, row in knowledge.cost_cuts.items() for cut in row]
    for key, cut in cuts[before["cost_cuts"] :]:
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
