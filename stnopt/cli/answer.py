"""The answer of a command for scripts: one JSON document with what was printed and its facts."""

from __future__ import annotations

import contextlib
import io
import json
import math
import sys
from typing import TYPE_CHECKING, Any

from stnopt.cli.exit_codes import BAD_INPUT
from stnopt.cli.standard_input import run_with_input
from stnopt.errors import StnoptError

if TYPE_CHECKING:
    import argparse

    from stnopt.scheduling.schedule import Schedule
    from stnopt.scheduling.search.result import ScheduleSearch


def add_json(command: argparse.ArgumentParser) -> None:
    """Add the option that asks for the document."""
    command.add_argument(
        "--json", action="store_true", help="print the answer as one JSON document"
    )


def state(options: argparse.Namespace, **facts: Any) -> None:
    """Add facts to the command's answer; plain values that JSON has, numbers that may be NaN."""
    options.answer.update(facts)


def run_as_json(options: argparse.Namespace) -> int:
    """Run a command, and print its answer as a document instead of its text.

    Its keys are ``exit_code``, ``text`` (what would have been printed), ``problems`` (of an input
    that cannot be used) and the command's own facts; a number that is unknown or infinite is null.
    """
    text = io.StringIO()
    try:
        with contextlib.redirect_stdout(text):
            code = run_with_input(options)
    except (StnoptError, OSError) as error:
        code = BAD_INPUT
        state(options, problems=list(getattr(error, "problems", (str(error),))))
        print(f"stnopt: {error}", file=sys.stderr)
    document = {"exit_code": code, "text": text.getvalue(), **options.answer}
    print(json.dumps(_plain(document), allow_nan=False, ensure_ascii=False))
    return code


def print_refusal(problem: str) -> None:
    """Print the document of a command whose words are not understood."""
    document = {"exit_code": BAD_INPUT, "text": "", "problems": [problem]}
    print(json.dumps(document, ensure_ascii=False))


def facts_of_search(search: ScheduleSearch, objective: str) -> dict[str, Any]:
    """Return what a search found and proved."""
    return {
        "status": search.result.status.value,
        "objective": objective,
        "value": search.result.objective,
        "bound": search.bound,
        "gap": search.gap,
        "missing": search.missing,
        "stopped": search.stopped,
        "proof": {
            "scope": search.proof.scope,
            "n_events": search.proof.n_events,
            "max_span": search.proof.max_span,
            "bound": search.proof.bound,
        },
        "schedule": content_of(search.schedule),
    }


def content_of(schedule: Schedule | None) -> dict[str, Any] | None:
    """Return a schedule as its JSON file has it."""
    if schedule is None:
        return None
    content: dict[str, Any] = json.loads(schedule.to_json())
    return content


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
