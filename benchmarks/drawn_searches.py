"""Drawn plants with all rules mixed: what searches say of them, against a grid they may not use.

The plants and the grid are those of tests/scheduling (`drawn_problems`, `time_grid`); the grid
shares no code with the library's models. What is searched for by event points only, again with the
bounds for any schedule but without their exact grid, and again with a time limit, so that the
search for long horizons has its turn. Models in which two plants share something, or one is nested
in a larger decision, are solved on given event points.

    python benchmarks/drawn_searches.py mixed --from 0 --count 350
    python benchmarks/drawn_searches.py makespan --count 150
    python benchmarks/drawn_searches.py nested --count 100
    python benchmarks/drawn_searches.py table

Each appends what it finds to results/drawn_searches/, skips what is there already, and prints a
line per 25. What is wrong is printed at once, with the plant.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyomo.environ as pyo

import stnopt as so
from stnopt.scheduling.search import bounds

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "scheduling"))

from drawn_pairs import draw_pair  # noqa: E402
from drawn_problems import draw_solved, judge_search  # noqa: E402

LOG = ROOT / "results" / "drawn_searches"
#: CPU seconds after which a search is interrupted as Ctrl-C does it; what it has is judged.
SECONDS = 20.0
#: How a case is searched. What is asked without a time limit ends by its own rule.
WAYS: dict[str, dict[str, Any]] = {
    "points": {"proof_limit": 0},
    "bounds": {"proof_limit": 4},
    "limit": {"time_limit": 2},
}
KINDS = ("mixed", "makespan", "nested")
TOLD = {
    "points": "event points only",
    "bounds": "with bounds for any schedule, without a grid",
    "limit": "within 2 s, long-horizon search included",
    "nested": "one or two plants in a larger model, three choices of event points",
}
VERDICTS = ("equal", "below", "nothing found", "none exists", "refused", "wrong")


def main(kind: str, *, first: int, count: int, ways: list[str]) -> None:
    """Judge so many cases of a kind; the log keeps every verdict."""
    LOG.mkdir(parents=True, exist_ok=True)
    log = LOG / f"{kind}.jsonl"
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    known = {(row["seed"], row["way"]) for row in map(json.loads, lines)}
    seen: Counter[tuple[str, str]] = Counter()
    started = time.process_time()
    for number in range(first, first + count):
        todo = [w for w in ways if (number, w) not in known]
        if todo:
            judged = _judge_nested(number) if kind == "nested" else _judge(number, kind, todo)
            with log.open("a", encoding="utf-8") as file:
                for way, verdict, why in judged:
                    seen[way, verdict] += 1
                    row = {"seed": number, "way": way, "verdict": verdict, "why": why}
                    file.write(json.dumps(row) + "\n")
        if (number + 1 - first) % 25 == 0 or number + 1 == first + count:
            told = ", ".join(f"{w} {v}: {n}" for (w, v), n in sorted(seen.items()))
            spent = time.process_time() - started
            print(f"{kind} {first}-{number}, {spent:.0f} CPU s: {told}", flush=True)


def _judge(number: int, kind: str, ways: list[str]) -> Iterator[tuple[str, str, str]]:
    drawn, best = draw_solved(number, kind)
    for way in ways:
        verdict, why = _search(drawn, best, way)
        if verdict == "wrong":
            print(f"WRONG {drawn.seed!r} {way}: {why}", file=sys.stderr, flush=True)
        yield way, verdict, why


def _search(drawn: Any, best: Any, way: str) -> tuple[str, str]:
    """Search in one way; say what came of it."""
    try:
        with _no_grid(), _interrupted_after(SECONDS):
            found = so.find_schedule(drawn.network, drawn.problem, start=drawn.start, **WAYS[way])
    except KeyboardInterrupt:
        return "nothing found", "interrupted"
    except so.UnsupportedModelError as error:
        return "refused", str(error)
    except so.InvalidScheduleError as error:
        return "wrong", f"rejected by the replay: {error}"
    return judge_search(drawn, best, found)


def _judge_nested(number: int) -> Iterator[tuple[str, str, str]]:
    """Solve a model in a larger one on three choices of event points."""
    pair, best = draw_pair(number)
    verdict, why = "nothing found", ""
    for n_events, max_span in ((2, 0), (3, 1), (4, 0)):
        outer = pair.build(n_events=n_events, max_span=max_span)
        with _interrupted_after(SECONDS):
            result = so.solve(outer, time_limit=SECONDS / 3)
        if not result.has_solution:
            continue
        value = float(pyo.value(outer.worth))
        near = 2e-4 * max(1.0, abs(best or 0.0))
        if best is None or value > best + near:
            verdict, why = "wrong", f"{value} is better than the best, {best}"
            break
        broken = pair.violations(outer)
        if broken:
            verdict, why = "wrong", broken[0].message
            break
        if verdict != "equal":
            verdict = "equal" if abs(value - best) <= near else "below"
    if best is None and verdict == "nothing found":
        verdict = "none exists"
    if verdict == "wrong":
        print(f"WRONG nested {number}: {why}", file=sys.stderr, flush=True)
    yield "nested", verdict, why


@contextmanager
def _no_grid() -> Iterator[None]:
    """Forbid the bounds their exact time grid: it would be the oracle's own."""
    kept = bounds.find_grid_width
    bounds.find_grid_width = lambda *_, **__: None
    try:
        yield
    finally:
        bounds.find_grid_width = kept


@contextmanager
def _interrupted_after(seconds: float) -> Iterator[None]:
    def interrupt(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def table() -> str:
    """Count what the logs say."""
    counts: dict[tuple[str, str], Counter[str]] = {}
    for log in (LOG / f"{kind}.jsonl" for kind in KINDS):
        if not log.exists():
            continue
        for row in map(json.loads, log.read_text(encoding="utf-8").splitlines()):
            counts.setdefault((log.stem, row["way"]), Counter())[row["verdict"]] += 1
    cells = {
        key: [sum(count.values()), *(count[verdict] for verdict in VERDICTS)]
        for key, count in counts.items()
    }
    rows = "\n".join(
        f"| {kind}, {TOLD[way]} | {' | '.join(map(str, row))} |"
        for (kind, way), row in cells.items()
    )
    return f"""## Searches of drawn plants with all rules mixed

2 to 4 tasks on 1 to 3 units with whatever rules there are: states at time 0, orders, deliveries,
targets, arrivals, steps of a utility, units that are away, unattended or paused (also weekly),
changeovers, cleanings, zero wait, early release, storage limits, least batches; horizons of 4 to
9 h or none, all six objectives ("makespan": units are away in each). The best is that of a grid of
hours that shares no code with the library's models and that no search may use
(tests/scheduling/time_grid.py). "Below" is a schedule that is worse than the best and not said to
be proven for any schedule; "nothing found" says so, and for a plant that can do nothing also that
this is not proven. "Wrong" is a schedule better than the grid's best or rejected by the replay at
the horizon that was asked, or a bound or proof for any schedule that the grid's best contradicts.
Made by `python benchmarks/drawn_searches.py KIND --count N`.

| | cases | {" | ".join(VERDICTS)} |
|---|---|{"---|" * len(VERDICTS)}
{rows}"""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=(*KINDS, "table"))
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--count", type=int, default=25)
    parser.add_argument("--ways", nargs="+", choices=tuple(WAYS), default=list(WAYS))
    asked = parser.parse_args()
    if asked.kind == "table":
        print(table())
    else:
        ways = ["nested"] if asked.kind == "nested" else asked.ways
        main(asked.kind, first=asked.first, count=asked.count, ways=ways)
