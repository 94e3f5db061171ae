"""Ctrl-C and SIGTERM end a command soon, with what it has found and without a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from stnopt.feasibility.choose_events import choose_events
from stnopt.feasibility.scope import ask_about
from stnopt.plant.read import load_example
from stnopt.scheduling.search.event_points import EventPointSearch
from stnopt.scheduling.search.find_schedule import find_schedule

COMMANDS = {
    # Both would go on for minutes.
    "schedule": ["schedule", "kumawat_2021", "--horizon", "10", "--time-limit", "600"],
    "region": ["region", "kumawat_2021", "--horizon", "10", "--tolerance", "1e-9"],
}
POINTS = ["--events", "4", "--span", "0"]


def interrupted(command, number, tmp_path):
    """Start a command, stop it once it has begun to search; its end and what it printed."""
    arguments = COMMANDS[command]
    if command == "region":
        arguments = [*arguments, "--out", str(tmp_path / "out")]
    run = subprocess.Popen(
        [sys.executable, "-m", "stnopt", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    begun = run.stderr.readline()
    assert begun.startswith(("searching", "tracing"))
    time.sleep(4)
    assert run.poll() is None, run.communicate()
    run.send_signal(number)
    out, err = run.communicate(timeout=60)
    return run.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_command_that_is_stopped_says_what_it_has(command, number, tmp_path):
    code, out, err = interrupted(command, number, tmp_path)
    assert code == 130
    assert "Traceback" not in err
    assert "Proven" not in out
    if "profit" in out:
        assert "interrupted" in out
    else:
        assert "interrupted before there was an answer" in err
    assert not (tmp_path / "out").exists()


def test_a_search_that_is_stopped_returns_its_best(monkeypatch):
    def stop(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(EventPointSearch, "ask_for_any_schedule", stop)
    found = find_schedule(load_example("ex2"), horizon=8, n_events=3, max_span=0)
    assert found.schedule is not None
    assert found.stopped == "interrupted"
    assert found.proof.scope == "these event points"


def test_a_search_that_is_stopped_at_once_has_nothing_to_say(monkeypatch):
    def stop(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(EventPointSearch, "bound_by_sums", stop)
    with pytest.raises(KeyboardInterrupt):
        find_schedule(load_example("ex2"), horizon=8)


def test_event_points_are_not_suggested_by_a_search_that_was_stopped(monkeypatch):
    def stop(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(EventPointSearch, "widen", stop)
    question = ask_about(load_example("ex2"), horizon=8, problem=None, start=None)
    with pytest.raises(KeyboardInterrupt):
        choose_events(question, n_events=3)


def test_a_reader_that_goes_away_is_no_traceback():
    run = subprocess.Popen(
        [sys.executable, "-m", "stnopt", "schedule", "motivating", "--horizon", "12", *POINTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    run.stdout.close()
    err = run.stderr.read()
    run.stderr.close()
    assert run.wait() in (0, 141)
    assert "Traceback" not in err
    assert "Exception ignored" not in err
