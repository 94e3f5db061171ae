"""Plants drawn at random: the best over event points and spans is the time grid's, for both models.

Loops, shared units, no storage, split streams, least batches, initial stocks. `make bench` does the
same with 500 plants and the search itself.
"""

from __future__ import annotations

import math
from collections import Counter
from random import Random

import pytest
from random_plants import MUTATIONS, climb, draw_cases, is_possible, mutate, on_whole_hours

from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import schedule_value
from stnopt.scheduling.search.find_schedule import find_schedule


@pytest.fixture(scope="module")
def limited():
    return draw_cases(30)


@pytest.fixture(scope="module")
def unlimited():
    return draw_cases(20, storage="unlimited")


@pytest.fixture(scope="module")
def cases(limited, unlimited):
    return {"limited": limited, "unlimited": unlimited}


@pytest.fixture(scope="module")
def schedules(cases):
    """Best schedules of the default formulation, each replayed when it was read."""
    return {
        kind: [(network, climb(network, hours, best)) for network, hours, best in drawn]
        for kind, drawn in cases.items()
    }


@pytest.mark.parametrize("kind", ["limited", "unlimited"])
@pytest.mark.long
def test_best_over_events_and_spans_is_that_of_the_time_grid(kind, cases, schedules):
    for (network, hours, best), (_, schedule) in zip(cases[kind], schedules[kind], strict=True):
        assert schedule is not None, (best, hours, network.to_dict())
        assert schedule_value(schedule, network, "profit") == pytest.approx(best, rel=1e-3)


@pytest.mark.parametrize("kind", [pytest.param("limited", marks=pytest.mark.long), "unlimited"])
def test_search_finds_and_proves_the_best_of_the_time_grid(kind, request):
    for network, hours, best in request.getfixturevalue(kind):
        found = find_schedule(network, horizon=hours, proof_limit=math.inf)
        assert found.result.objective == pytest.approx(best, rel=2e-4), network.to_dict()
        assert found.proof.scope == "any schedule"
        assert find_violations(found.schedule, network) == []


@pytest.mark.long
def test_state_sequence_reaches_the_same_where_storage_is_unlimited(cases):
    for network, hours, best in cases["unlimited"]:
        schedule = climb(network, hours, best, formulation="state_sequence")
        assert schedule is not None, (best, hours, network.to_dict())
        assert find_violations(schedule, network) == []


@pytest.mark.long
@pytest.mark.parametrize("kind", MUTATIONS)
def test_a_batch_moved_grown_or_doubled_is_judged_as_by_the_oracle(kind, schedules):
    seen = Counter()
    random = Random(kind)
    for network, schedule in schedules["limited"] + schedules["unlimited"]:
        whole = on_whole_hours(schedule)
        assert is_possible(whole, network)
        assert find_violations(whole, network) == []
        for _ in range(3):
            mutated = mutate(whole, network, kind, random)
            violations = find_violations(mutated, network)
            possible = is_possible(mutated, network)
            assert (violations == []) == possible, (violations, network.to_dict())
            seen[possible] += 1
    assert seen[False] > 100, seen  # a batch may be moved into idle time; growth is mostly used up


@pytest.mark.long
def test_drawn_plants_have_what_makes_schedules_hard(cases):
    def count(has):
        return sum(map(has, networks))

    networks = [network for network, *_ in cases["limited"]]
    states = {id(n): [s for s in n.states.values() if not s.unlimited] for n in networks}
    assert count(lambda n: len(n.units) < len(n.suitabilities)) > 10  # shared units
    assert count(lambda n: any(len(t.produces) > 1 for t in n.tasks.values())) > 10  # split streams
    assert count(lambda n: any(fit.min_batch for fit in n.suitabilities)) > 10
    assert count(lambda n: any(s.initial for s in states[id(n)])) > 10
    assert count(lambda n: any(s.capacity == 0 for s in states[id(n)])) > 5
    assert count(lambda n: any(s.zero_wait for s in states[id(n)])) > 3
    assert count(has_loop) > 5


def has_loop(network):
    """Whether some state can be made from itself."""
    leads_to = {s: set() for s in network.states}
    for task in network.tasks.values():
        for state in task.consumes:
            leads_to[state] |= set(task.produces)
    for _ in network.states:
        for state, later in leads_to.items():
            leads_to[state] = later.union(*(leads_to[s] for s in later))
    return any(state in later for state, later in leads_to.items())
