"""500 plants drawn at random: what the search finds, against a time grid that shares no code.

The plants, the grid and the judge of mutated schedules are those of tests/scheduling. Run alone
with `python benchmarks/drawn_plants.py [--plants 50]`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import stnopt as so

N_PLANTS = 500
TIME_LIMIT = 25.0
VERDICTS = ("equal", "equal on more event points", "unsettled", "wrong")
SETTLED = VERDICTS[:2]
TESTS = Path(__file__).resolve().parents[1] / "tests" / "scheduling"


@dataclass(frozen=True, slots=True)
class Way:
    """A way to search, and what came of it."""

    name: str
    settings: dict[str, object] = field(default_factory=dict)
    verdicts: Counter = field(default_factory=Counter)


def main(*, plants: int = N_PLANTS) -> str:
    """Compare and return the tables; three plants in five have limited storage."""
    sys.path.insert(0, str(TESTS))
    from random_plants import MUTATIONS, draw_cases

    n_unlimited = plants * 2 // 5
    started = time.process_time()
    ways = (
        Way("`find_schedule` as it is (a grid, where times are whole)"),
        Way("event points only", {"proof_limit": 0}),
        Way(
            "`state_sequence`, where storage is unlimited",
            {"proof_limit": 0, "formulation": "state_sequence"},
        ),
    )
    judged = {kind: Counter() for kind in MUTATIONS}
    schedules = []
    for storage, count in (("limited", plants - n_unlimited), ("unlimited", n_unlimited)):
        for network, hours, best in draw_cases(count, storage=storage):
            for way in ways[: 3 if storage == "unlimited" else 2]:
                verdict, schedule = _search(network, hours, best, **way.settings)
                way.verdicts[verdict] += 1
                if schedule is not None:
                    schedules.append((network, schedule))
                if verdict not in SETTLED:
                    print(way.name, verdict, hours, network.to_dict(), file=sys.stderr, flush=True)
    accepted = sum(_judge(network, schedule, judged) for network, schedule in schedules)
    judgements = "\n".join(
        f"| {kind} | {seen[False, False]} | {seen[True, True]} |"
        f" {seen[True, False] + seen[False, True]} |"
        for kind, seen in judged.items()
    )
    found = "\n".join(
        f"| {way.name} | {' | '.join(str(way.verdicts[v]) for v in VERDICTS)} |" for way in ways
    )
    return f"""## Plants drawn at random

{plants} plants with loops, shared units, split streams, least batches and initial stocks,
{plants - n_unlimited} of them with little or no storage; horizons of 4 to 7 h. The best profit is
that of an exact time grid with storage in time. At most {TIME_LIMIT:g} s per search and per solve;
{time.process_time() - started:.0f} CPU seconds in all.

| | {" | ".join(VERDICTS)} |
|---|{"---|" * len(VERDICTS)}
{found}

The replay accepted {accepted} of {len(schedules)} schedules. One batch of each was changed; hour
slots and a linear program per state say whether the plant could still do it:

| batch | rejected by both | accepted by both | verdicts differ |
|---|---|---|---|
{judgements}"""


def _search(
    network: so.Network, hours: int, best: float, *, formulation: str = "unit_events", **settings
) -> tuple[str, so.Schedule | None]:
    """Search; where it stops below the best, climb on. Above it, or proven below it, is wrong."""
    from random_plants import climb

    near = 2e-4 * max(1.0, abs(best))
    try:
        found = so.find_schedule(
            network, horizon=hours, time_limit=TIME_LIMIT, formulation=formulation, **settings
        )
        value = found.result.objective
        if value is not None and abs(value - best) <= near:
            return "equal", found.schedule
        bound = found.proof.any_schedule_bound
        if (value is not None and value > best) or (bound is not None and bound < best - near):
            return "wrong", found.schedule
        schedule = climb(network, hours, best, formulation=formulation)
    except (AssertionError, so.InvalidScheduleError):  # above the best, or rejected by the replay
        return "wrong", None
    return ("unsettled", None) if schedule is None else ("equal on more event points", schedule)


def _judge(network: so.Network, schedule: so.Schedule, judged: dict[str, Counter]) -> bool:
    """Count the verdicts on mutated schedules; say whether the replay accepts the schedule."""
    from random_plants import is_possible, mutate, on_whole_hours

    random = Random(network.fingerprint)
    whole = on_whole_hours(schedule)
    for kind, seen in judged.items():
        mutated = mutate(whole, network, kind, random)
        accepted = so.find_violations(mutated, network) == []
        seen[accepted, is_possible(mutated, network)] += 1
    return so.find_violations(schedule, network) == []


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plants", type=int, default=N_PLANTS)
    print(main(**vars(parser.parse_args())))
