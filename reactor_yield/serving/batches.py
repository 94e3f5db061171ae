"""Predictions off the event loop: one thread takes all that waits and predicts it at once.

A Gaussian process reads the whole of its factor for one row or for fifty: requests that arrive
together share that cost. Large requests are cut into pieces, so that small ones pass between them.
"""

from __future__ import annotations

import threading
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from reactor_yield.prediction import predict_table
from reactor_yield.serving.conditions import number_columns

if TYPE_CHECKING:
    from reactor_yield.yield_model import YieldModel

_PIECE = 512
"""Rows predicted at once."""


class BusyError(Exception):
    """Too many rows wait already."""


class StoppedError(Exception):
    """The service is shutting down."""


@dataclass(slots=True, kw_only=True)
class _Job:
    """A request's rows, the model it was read for, and what of its answer is there."""

    model: YieldModel
    columns: dict[str, list[Any]]
    n_rows: int
    future: Future[dict[str, list[Any]]]
    done: int = 0
    parts: list[dict[str, list[Any]]] = field(default_factory=list)


class BatchPredictor:
    """Predicts the rows of many requests in one thread of its own.

    Parameters
    ----------
    max_waiting_rows
        Beyond it `submit` refuses.
    """

    def __init__(self, *, max_waiting_rows: int) -> None:
        self.max_waiting_rows = max_waiting_rows
        self.waiting_rows = 0
        self._jobs: deque[_Job] = deque()
        self._changed = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._work, name="predict", daemon=True)
        self._thread.start()

    def submit(
        self, model: YieldModel, columns: dict[str, list[Any]]
    ) -> Future[dict[str, list[Any]]]:
        """Queue rows; the future gives `predict_table`'s columns as lists, NaN as `None`.

        Raises
        ------
        BusyError, StoppedError
        """
        n_rows = len(next(iter(columns.values())))
        job = _Job(model=model, columns=columns, n_rows=n_rows, future=Future())
        with self._changed:
            if self._stopped:
                raise StoppedError
            if self.waiting_rows and self.waiting_rows + n_rows > self.max_waiting_rows:
                raise BusyError
            self.waiting_rows += n_rows
            self._jobs.append(job)
            self._changed.notify()
        return job.future

    def stop(self) -> None:
        """Refuse what waits, and end after the batch under way."""
        with self._changed:
            self._stopped = True
            self._changed.notify()
        self._thread.join(timeout=2.0)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._jobs and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    jobs, self._jobs = self._jobs, deque()
                    for job in jobs:
                        _fail(job, StoppedError())
                    return
                batch = self._take()
            self._predict(batch)

    def _take(self) -> list[tuple[_Job, int, int]]:
        """Pieces of the jobs that wait for the first one's model, the smallest remainders first."""
        first = self._jobs[0]
        names = tuple(first.columns)
        alike = [j for j in self._jobs if j.model is first.model and tuple(j.columns) == names]
        pieces, room = [], _PIECE
        for job in sorted(alike, key=lambda j: j.n_rows - j.done):
            n = min(room, job.n_rows - job.done)
            if n:
                pieces.append((job, job.done, job.done + n))
                room -= n
            if not room:
                break
        return pieces

    def _predict(self, batch: list[tuple[_Job, int, int]]) -> None:
        try:
            answer = self._answer(batch)
        except Exception as problem:  # whatever a model raises belongs to these requests alone
            with self._changed:
                for job, _, _ in batch:
                    self._drop(job)
            for job, _, _ in batch:
                _fail(job, problem)
            return
        at = 0
        finished = []
        for job, first, last in batch:
            rows = slice(at, at + last - first)
            at = rows.stop
            job.parts.append({name: values[rows] for name, values in answer.items()})
            job.done = last
            if job.done == job.n_rows:
                finished.append(job)
        with self._changed:
            self.waiting_rows -= at
            for job in finished:
                self._jobs.remove(job)
        for job in finished:
            whole = {n: [v for part in job.parts for v in part[n]] for n in job.parts[0]}
            if job.future.set_running_or_notify_cancel():
                job.future.set_result(whole)

    def _answer(self, batch: list[tuple[_Job, int, int]]) -> dict[str, list[Any]]:
        job = batch[0][0]
        mixed = {
            name: [v for j, first, last in batch for v in j.columns[name][first:last]]
            for name in job.columns
        }
        numeric = number_columns(job.model)
        table = pd.DataFrame(
            {
                n: _floats(v) if n in numeric else pd.Series(v, dtype=object)
                for n, v in mixed.items()
            }
        )
        found = predict_table(job.model, table)
        answer = {}
        for name in found.columns:
            values = found[name].tolist()
            answer[name] = [None if v != v or v in _ENDLESS else v for v in values]
        return answer

    def _drop(self, job: _Job) -> None:
        self.waiting_rows -= job.n_rows - job.done
        if job in self._jobs:
            self._jobs.remove(job)


_ENDLESS = (float("inf"), float("-inf"))


def _floats(values: list[Any]) -> list[float]:
    return [float("nan") if v is None else v for v in values]


def _fail(job: _Job, problem: Exception) -> None:
    if job.future.set_running_or_notify_cancel():
        job.future.set_exception(problem)
