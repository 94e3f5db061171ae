"""What a service may be told: limits, token, alarm target, captured sample."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reactor_yield.errors import InvalidConditionsError

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "REACTOR_YIELD_"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """Limits and options of a service; each is also an environment variable `REACTOR_YIELD_NAME`.

    Attributes
    ----------
    max_body
        Bytes of a request.
    max_rows, max_columns, max_nesting
        Of a request; looked at before it is parsed.
    read_seconds
        Time from connecting (or the last answer) until a request has arrived whole.
    answer_seconds
        Time from then until its answer has been taken.
    shutdown_seconds
        Time that requests under way get after SIGTERM.
    max_waiting_rows
        Rows waiting to be predicted; beyond it the answer is 503.
    token
        Required as `Authorization: Bearer TOKEN` everywhere but on `/ping`; empty for none.
    target
        Yield that should be reached: answers get a column `alarm`.
    capture_folder, capture_share
        Where to keep a sample of inputs and predictions for monitoring, and how much of them.
    reload_seconds
        How often the model file is looked at; a new one takes over without a restart.
    """

    max_body: int = 32_000_000
    max_rows: int = 100_000
    max_columns: int = 1_000
    max_nesting: int = 8
    read_seconds: float = 10.0
    answer_seconds: float = 120.0
    shutdown_seconds: int = 5
    max_waiting_rows: int = 200_000
    token: str = ""
    target: float | None = None
    capture_folder: str = ""
    capture_share: float = 0.1
    reload_seconds: float = 2.0

    def __post_init__(self) -> None:
        problems = [
            f"{name} must be above 0, got {value!r}"
            for name, value in (
                ("max_body", self.max_body),
                ("max_rows", self.max_rows),
                ("max_columns", self.max_columns),
                ("max_nesting", self.max_nesting),
                ("read_seconds", self.read_seconds),
                ("answer_seconds", self.answer_seconds),
                ("shutdown_seconds", self.shutdown_seconds),
                ("max_waiting_rows", self.max_waiting_rows),
                ("reload_seconds", self.reload_seconds),
            )
            if not value > 0
        ]
        if not 0 <= self.capture_share <= 1:
            problems.append(f"capture_share must be between 0 and 1, got {self.capture_share!r}")
        if self.target is not None and not math.isfinite(self.target):
            problems.append(f"target must be a finite number, got {self.target!r}")
        if problems:
            raise InvalidConditionsError(*problems)

    def __repr__(self) -> str:
        # The token must not reach a log by way of a message that shows the settings.
        shown = {n: getattr(self, n) for n in self.__slots__ if n != "token"}
        return f"ServiceSettings({shown}, token={'set' if self.token else 'none'})"


def read_settings(environment: Mapping[str, str]) -> ServiceSettings:
    """Read settings from environment variables such as `REACTOR_YIELD_MAX_ROWS=1000`.

    Raises
    ------
    InvalidConditionsError
        Naming every variable that is unknown or cannot be read.
    """
    readers = {
        "max_body": int,
        "max_rows": int,
        "max_columns": int,
        "max_nesting": int,
        "read_seconds": float,
        "answer_seconds": float,
        "shutdown_seconds": int,
        "max_waiting_rows": int,
        "token": str,
        "target": float,
        "capture_folder": str,
        "capture_share": float,
        "reload_seconds": float,
    }
    others = {"root", "port"}
    found: dict[str, object] = {}
    problems = []
    for variable, text in environment.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name in others or not text:
            continue
        if name not in readers:
            problems.append(f"unknown variable {variable}; known are {sorted(readers)}")
            continue
        try:
            found[name] = readers[name](text)
        except ValueError:
            problems.append(f"{variable}={text!r} is no {readers[name].__name__}")
    if problems:
        raise InvalidConditionsError(*problems)
    return ServiceSettings(**found)  # type: ignore[arg-type]
