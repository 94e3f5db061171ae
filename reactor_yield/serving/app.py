"""The model behind HTTP: `GET /ping`, `POST /invocations`, `GET /metrics`, `GET /openapi.json`."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import gc
import io
import json
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

try:
    import uvicorn
    from fastapi import FastAPI, Request, Response
    from fastapi.responses import PlainTextResponse
    from starlette.exceptions import HTTPException
    from starlette.requests import ClientDisconnect
except ImportError as error:
    from reactor_yield.errors import MissingDependencyError

    message = 'serving needs fastapi and uvicorn: pip install "stnopt[serve]"'
    raise MissingDependencyError(message) from error

from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from reactor_yield.errors import ReactorYieldError
from reactor_yield.serving.batches import BatchPredictor, BusyError, StoppedError
from reactor_yield.serving.capture import CapturedSample
from reactor_yield.serving.conditions import (
    RequestProblem,
    choose_answer,
    read_conditions,
    read_media_type,
)
from reactor_yield.serving.connections import protocol_with_timeouts
from reactor_yield.serving.current_model import CurrentModel, LoadedModel, load_model
from reactor_yield.serving.envelope import LOGGER, Envelope, JsonLines, log
from reactor_yield.serving.metrics import Metrics
from reactor_yield.serving.openapi import describe_invocations
from reactor_yield.serving.settings import ServiceSettings, read_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from reactor_yield.yield_model import YieldModel

_LARGE_BODY = 20_000
"""Bytes from which a body is parsed, and rows from which an answer is written, off the loop."""
_LARGE_ANSWER = 200
_ROWS_WRITTEN_AT_ONCE = 2_000


def create_app(
    model: YieldModel | CurrentModel, settings: ServiceSettings | None = None
) -> FastAPI:
    """Web application that answers for one model.

    `GET /ping` is 200 when it is ready. `POST /invocations` takes conditions as `text/csv` with a
    header (or without, in the model's order), or as `application/json`, a list of records; it
    answers in the `Accept` type of the two, CSV unless JSON is asked for, with the prediction,
    `lower` and `upper` of the 90 % interval, `in_range`, `outside` and, with a target, `alarm`. A
    row with a gap that cannot be judged has no prediction and says why in `outside`; what cannot be
    read at all is a 4xx with a sentence.

    Parameters
    ----------
    model
        To answer with, or a holder whose file is watched for a new one.
    settings
        Limits and options.
    """
    limits = settings or ServiceSettings()
    current = (
        model
        if isinstance(model, CurrentModel)
        else CurrentModel(LoadedModel(model=model, checksum=""), None)
    )
    service = _Service(current, limits)
    app = FastAPI(title="reactor_yield", lifespan=service.lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Envelope, metrics=service.metrics, token=limits.token)
    app.state.service = service

    @app.exception_handler(HTTPException)
    async def refuse(request: Request, problem: HTTPException) -> Response:
        return PlainTextResponse(str(problem.detail), problem.status_code, problem.headers)

    @app.head("/ping", include_in_schema=False)
    @app.get("/ping", response_class=PlainTextResponse)
    async def ping() -> Response:
        """Whether the service is ready."""
        return PlainTextResponse("")

    @app.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Say what was counted, in Prometheus' text format."""
        return PlainTextResponse(service.describe(), media_type="text/plain; version=0.0.4")

    @app.get("/execution-parameters")
    async def execution_parameters() -> dict[str, object]:
        """Answer what SageMaker's batch transform asks before it begins."""
        return {
            "MaxConcurrentTransforms": 4,
            "BatchStrategy": "MULTI_RECORD",
            "MaxPayloadInMB": max(1, min(100, limits.max_body // 1_000_000)),
        }

    described = describe_invocations(current.loaded.model, limits)

    @app.post("/invocations", openapi_extra=described, response_class=Response)
    async def invocations(request: Request) -> Response:
        """Predict the conditions of each row."""
        try:
            return await service.answer(request)
        except RequestProblem as problem:
            # What is left of a body that was refused half-read is not waited for.
            closing = {"connection": "close"} if problem.status == 413 else {}
            return PlainTextResponse(problem.sentence, problem.status, closing)
        except ClientDisconnect:
            return Response(status_code=400)

    return app


class _Service:
    """What the routes share."""

    def __init__(self, current: CurrentModel, limits: ServiceSettings) -> None:
        self.current = current
        self.limits = limits
        self.metrics = Metrics()
        self.predictor = BatchPredictor(max_waiting_rows=limits.max_waiting_rows)
        self.capture = (
            CapturedSample(limits.capture_folder, share=limits.capture_share)
            if limits.capture_folder
            else None
        )

    @contextlib.asynccontextmanager
    async def lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        """Watch the model file and write the sample while the application runs."""
        tasks = [asyncio.create_task(self._tend())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            self.predictor.stop()
            self._write_sample(force=True)

    async def answer(self, request: Request) -> Response:
        """Answer one request for predictions."""
        told: dict[str, Any] = request.scope["state"]["told"]
        kind = choose_answer(request.headers.get("accept", "*/*"))
        media = read_media_type(request.headers.get("content-type", ""))
        coding = request.headers.get("content-encoding", "identity").lower()
        if coding != "identity":
            raise RequestProblem(415, f"send the body without a content encoding, not {coding!r}")
        body = await self._read_body(request)
        told["bytes"] = len(body)
        model = self.current.loaded.model
        if len(body) > _LARGE_BODY:
            columns = await asyncio.to_thread(read_conditions, body, media, model, self.limits)
        else:
            columns = read_conditions(body, media, model, self.limits)
        try:
            future = self.predictor.submit(model, columns)
            found = await asyncio.wrap_future(future)
        except BusyError:
            raise RequestProblem(503, "too many rows are waiting; try again later") from None
        except StoppedError:
            raise RequestProblem(503, "the service is shutting down") from None
        except ReactorYieldError as problem:
            raise RequestProblem(400, str(problem)) from None
        self._note(columns, found, model, told)
        write = _write_json if kind == "application/json" else _write_csv
        if told["rows"] > _LARGE_ANSWER:
            content = await asyncio.to_thread(write, found)
        else:
            content = write(found)
        return Response(content, media_type=kind)

    def describe(self) -> str:
        """Text of `/metrics`."""
        gauges = {"waiting_rows": float(self.predictor.waiting_rows)}
        loaded = self.current.loaded
        told = f'kind="{loaded.model.report.kind}",checksum="{loaded.checksum}"'
        return self.metrics.text(gauges, told)

    async def _read_body(self, request: Request) -> bytes:
        """Body within its limit, refused by its announced length before it is read."""
        limit = self.limits.max_body
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > limit:
            raise RequestProblem(413, f"{announced} bytes; at most {limit}")
        parts, size = [], 0
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise RequestProblem(413, f"more than {limit} bytes")
            parts.append(part)
        return b"".join(parts)

    def _note(
        self,
        columns: dict[str, list[Any]],
        found: dict[str, list[Any]],
        model: YieldModel,
        told: dict[str, Any],
    ) -> None:
        """Add alarms, count, and keep a sample."""
        n_rows = len(found["in_range"])
        outside = found["in_range"].count(False)
        silent = found[model.target].count(None)
        if self.limits.target is not None:
            found["alarm"] = [
                None if upper is None else upper < self.limits.target for upper in found["upper"]
            ]
            told["alarms"] = found["alarm"].count(True)
            self.metrics.count("alarms_total", amount=told["alarms"])
        told |= {"rows": n_rows, "out_of_range": outside, "not_judged": silent}
        self.metrics.count("rows_total", amount=n_rows)
        self.metrics.count("rows_out_of_range_total", amount=outside)
        self.metrics.count("rows_not_judged_total", amount=silent)
        if self.capture is not None:
            kept = self.capture.add(columns, found)
            self.metrics.count("captured_rows_total", amount=kept)

    async def _tend(self) -> None:
        """Look at the model file and the sample every now and then."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(ValueError, RuntimeError, AttributeError, NotImplementedError):
            loop.add_signal_handler(signal.SIGHUP, lambda: self._keep(self._exchange()))
        while True:
            await asyncio.sleep(self.limits.reload_seconds)
            if self.current.changed():
                await self._exchange()
            if self.capture is not None:
                await asyncio.to_thread(self._write_sample)

    def _keep(self, work: Any) -> None:
        self._exchanging = asyncio.ensure_future(work)

    async def _exchange(self) -> None:
        """Read the new model beside the old one; a file that cannot be used leaves the old."""
        try:
            checksum = await asyncio.to_thread(self.current.reload)
        except (ReactorYieldError, OSError) as problem:
            self.metrics.count("model_reloads_total", 'outcome="refused"')
            log(logging.ERROR, "model refused, the old one goes on", reason=str(problem))
            return
        self.metrics.count("model_reloads_total", 'outcome="taken"')
        log(logging.INFO, "model exchanged", checksum=checksum)

    def _write_sample(self, *, force: bool = False) -> None:
        if self.capture is None:
            return
        table = self.capture.take_due(force=force)
        if table is None:
            return
        try:
            self.capture.write(table)
        except (ReactorYieldError, OSError) as problem:
            # A full disk must not stop the service: the sample is lost, and that is said.
            log(logging.ERROR, "sample not written", reason=str(problem), rows=len(table))


def serve(
    model_file: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8080,
    settings: ServiceSettings | None = None,
) -> None:
    """Answer requests until SIGTERM or Ctrl-C.

    Parameters
    ----------
    model_file
        Watched while the service runs: a new model takes over without a restart.
    host, port
        To listen on.
    settings
        By default those of the environment (`read_settings`).
    """
    limits = settings or read_settings(os.environ)
    current = CurrentModel(load_model(model_file), model_file)
    _log_to_stderr()
    loaded = current.loaded
    log(
        logging.INFO,
        "started",
        host=host,
        port=port,
        model=loaded.model.report.kind,
        checksum=loaded.checksum,
    )
    app = create_app(current, limits)
    metrics: Metrics = app.state.service.metrics
    # What is loaded by now stays: without this each full garbage collection looks through all the
    # packages again and holds every request up by 0.2 s, some ten times a minute under load.
    gc.collect()
    gc.freeze()
    with threadpool_limits(1):  # one prediction at a time, on one core
        uvicorn.run(
            app,
            host=host,
            port=port,
            http=protocol_with_timeouts(
                read_seconds=limits.read_seconds,
                answer_seconds=limits.answer_seconds,
                max_body=limits.max_body,
                count_late=lambda: metrics.count("late_requests_total"),
            ),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=limits.shutdown_seconds,
        )
    log(logging.INFO, "stopped")


def _log_to_stderr() -> None:
    _allow_many_connections()
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in ((LOGGER.name, logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False


def _allow_many_connections() -> None:
    """Raise the number of open files to what the system allows: each connection is one."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _write_json(found: dict[str, list[Any]]) -> bytes:
    """Write some rows at a time: the encoder lets no other thread run."""
    names = list(found)
    rows = [dict(zip(names, row, strict=True)) for row in zip(*found.values(), strict=True)]
    parts = [
        json.dumps(rows[first : first + _ROWS_WRITTEN_AT_ONCE], allow_nan=False)[1:-1]
        for first in range(0, len(rows), _ROWS_WRITTEN_AT_ONCE)
    ]
    return f"[{', '.join(parts)}]".encode()


def _write_csv(found: dict[str, list[Any]]) -> bytes:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(found)
    writer.writerows(
        ["" if v is None else v for v in row] for row in zip(*found.values(), strict=True)
    )
    return buffer.getvalue().encode()
