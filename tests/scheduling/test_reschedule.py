"""Plans that change: hand-derived cases of what moves, and drawn plants that go on from a cut."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from asking import best_schedule
from plants_at_work import CHAIN, EARLY, P, late, one_task, plant, profit

from stnopt.errors import InvalidInputError, InvalidScheduleError
from stnopt.plant import Order, PlantState, RunningBatch, ServedOrder
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock
from stnopt.scheduling.search import reschedule as room
from stnopt.scheduling.search.changes import Down, Late, Lost, NewOrder
from stnopt.scheduling.search.reschedule import reschedule
from stnopt.solvers.solve import Status, solve

# R makes 10 of I in 3 h, V turns it into P in 1 h; I has no tank, so that R is empty only when V
# has begun. Old: R 0 to 3, 3 to 6, 7 to 10; V 3 to 4, 6 to 7, 10 to 11, which makes 30.
NETWORK = plant({"I": {"capacity": 0}} | P, CHAIN)
PROBLEM = profit(12)
FIRST, SECOND, THIRD = (Batch("Make", "R", s, s + 3, 10) for s in (0, 3, 7))
USES = tuple(Batch("Use", "V", s, s + 1, 10) for s in (3, 6, 10))


def old_schedule(*batches, network=NETWORK, problem=PROBLEM):
    return Schedule(
        batches=batches,
        final_stock=compute_final_stock(batches, network),
        horizon=problem.horizon,
    )


OLD = old_schedule(FIRST, SECOND, USES[0], USES[1], THIRD, USES[2])


def again(schedule=OLD, network=NETWORK, problem=PROBLEM, **more):
    found = reschedule(schedule, network, problem, **more)
    if found.schedule is not None:
        assert find_violations(found.schedule, found.plant) == []
    return found


def changes_of(found):
    """(change, task, start, old start) per row."""
    rows = found.changes
    columns = (rows["change"], rows["task"], rows["start"], rows["was_start"])
    return [
        (change, task, *(None if t != t or t is None else round(t, 4) for t in times))
        for change, task, *times in zip(*columns, strict=True)
    ]


@pytest.mark.parametrize("at", [0, 2, 4, 6.5, 11.5])
def test_without_a_change_it_comes_back(at):
    found = again(at=at, keep_until=12)
    assert found.schedule == OLD
    assert set(found.changes["change"]) <= {"kept"}
    assert not found.moved
    assert found.moved_scope == "any schedule"


@pytest.mark.parametrize("kind", ["unattended", "paused"])
def test_nothing_starts_in_the_middle_of_a_period_that_has_begun(kind):
    """R is away from 2 to 8, empty, when at 4 something is ordered: it starts at 8, not at 4."""
    tasks = one_task(unit="R", min_batch=10)
    network = plant(P, tasks, units={"R": {kind: [(2, 8)]}})
    order = Order("new", "P", 10, due=5)
    problem = replace(PROBLEM, objective="tardiness", orders=(replace(order, id="old", due=1),))
    made = Batch("Make", "R", 0, 1, 10)
    old = Schedule(
        batches=(made,),
        final_stock=compute_final_stock((made,), network),
        horizon=12,
        orders=(ServedOrder(problem.orders[0], ((1, 10),), may_miss=True),),
    )
    old = replace(old, final_stock={**old.final_stock, "P": 0})
    assert find_violations(old, network) == []
    found = again(old, network, problem, at=4, changes=[NewOrder(order)], keep_until=4)
    assert [(b.start, b.finish) for b in found.schedule.batches] == [(0, 1), (8, 9)]
    assert found.result.objective == pytest.approx(4)


def test_late_moves_what_must_and_keeps_the_rest():
    """R ends at 7 instead of 6: V waits for it, and R starts again at 7 as announced."""
    found = again(at=4, changes=[Late(SECOND, 1)], keep_until=12)
    assert changes_of(found) == [
        ("late", "Make", 3, 3),
        ("kept", "Make", 7, 7),
        ("moved", "Use", 7, 6),
        ("kept", "Use", 10, 10),
    ]
    assert found.moved == (USES[1],)
    assert found.moved_scope == "these event points"
    points = f"{found.n_events} event points with span {found.max_span}"
    assert found.summary == (
        "1 late, 2 kept, 1 moved. 1 that should stay cannot: Use on V at 6. Fewer are not possible "
        f"on {points}; for more event points it is not proven."
    )
    assert found.result.objective == pytest.approx(30)
    assert Batch("Make", "R", 3, 7, 10) in found.schedule.batches


def test_fewest_moves_come_before_what_is_earned():
    """R ends at 8. With V at 10 kept that earns 20 and moves two; moving all three earns 30."""
    found = again(at=4, changes=[Late(SECOND, 2)], keep_until=12)
    assert len(found.moved) == 2
    assert found.result.objective == pytest.approx(20)
    assert USES[2] in found.schedule.batches
    free = again(at=4, changes=[Late(SECOND, 2)])
    assert free.result.objective == pytest.approx(30)


def test_a_limit_leaves_open_whether_fewer_would_do(monkeypatch):
    """A solve that a limit stopped has a solution, and no proof."""

    def stopped(*arguments, **options):
        return replace(solve(*arguments, **options), status=Status.FEASIBLE)

    monkeypatch.setattr(room, "solve", stopped)
    found = again(at=4, changes=[Late(SECOND, 1)], keep_until=12)
    assert found.moved == (USES[1],)
    assert found.moved_scope is None
    assert "A limit came before it was settled whether fewer would do." in found.summary


def test_interrupted_it_gives_the_best_so_far(monkeypatch):
    calls = []

    def stop(*arguments, **options):
        calls.append(None)
        if len(calls) > 1:
            raise KeyboardInterrupt
        return solve(*arguments, **options)

    monkeypatch.setattr(room, "solve", stop)
    found = again(at=4, changes=[Late(SECOND, 1)], keep_until=12)
    assert found.stopped == "interrupted"
    assert found.moved == (USES[1],)
    calls.clear()
    calls.append(None)
    with pytest.raises(KeyboardInterrupt):  # there is nothing yet, and the old rest cannot be
        again(at=4, changes=[Late(SECOND, 1)], keep_until=12)
    calls.append(None)
    rest = again(at=4, changes=[], keep_until=8, move_cost=1)
    assert rest.stopped == "interrupted"
    assert rest.schedule == OLD


def test_lost_batch_is_made_anew():
    """R is free at 4: 4 to 7 gives V what it lacks, and the batch at 7 stays."""
    found = again(at=4, changes=[Lost(SECOND)], keep_until=12)
    assert changes_of(found) == [
        ("lost", "Make", None, 3),
        ("new", "Make", 4, None),
        ("kept", "Make", 7, 7),
        ("moved", "Use", 7, 6),
        ("kept", "Use", 10, 10),
    ]


def test_what_a_lost_batch_consumed_is_gone():
    """10 of S for one batch of 10: once lost, nothing can be made of it."""
    tasks = {
        "Make": ({"S": 1}, {"P": 1}, {"U": {"fixed_time": 2}}),
        "Other": ({"A": 1}, {"Q": 1}, {"W": {"fixed_time": 9}}),
    }
    network = plant({"S": {"initial": 10}, "Q": {}} | P, tasks)
    batch = Batch("Make", "U", 0, 2, 10)
    found = again(
        old_schedule(batch, network=network, problem=profit(6)),
        network,
        profit(6),
        at=1,
        changes=[Lost(batch)],
    )
    assert found.schedule.batches == ()
    assert found.schedule.final_stock["P"] == 0
    assert found.schedule.final_stock["S"] == 0


def test_a_batch_on_a_unit_that_goes_down_is_lost():
    """R is away from 5 to 7: its batch is lost, the one at 7 stays, V at 6 has nothing to do."""
    found = again(at=4, changes=[Down("R", 5, 7)], keep_until=12)
    assert changes_of(found) == [
        ("lost", "Make", None, 3),
        ("dropped", "Use", None, 6),
        ("kept", "Make", 7, 7),
        ("kept", "Use", 10, 10),
    ]
    assert found.result.objective == pytest.approx(20)


def test_down_moves_only_what_it_meets():
    """V is away from 10 to 11 alone: it starts at 11, and all else stays."""
    found = again(at=4, changes=[Down("V", 10, 11)], keep_until=12)
    assert changes_of(found) == [
        ("kept", "Use", 6, 6),
        ("kept", "Make", 7, 7),
        ("moved", "Use", 11, 10),
    ]


def test_moving_has_its_price():
    """With U busy from 0 to 1, Blue (3 each) at 1 instead of Red (2 each) is worth 10 more."""
    tasks = {
        "Red": ({"A": 1}, {"R": 1}, {"U": {"fixed_time": 1}}),
        "Blue": ({"A": 1}, {"B": 1}, {"U": {"fixed_time": 1}}),
    }
    network = plant({"R": {"price": 2}, "B": {"price": 3}}, tasks)
    two = profit(2)
    old = old_schedule(
        Batch("Blue", "U", 0, 1, 10),
        Batch("Red", "U", 1, 2, 10),
        network=network,
        problem=profit(2),
    )
    dear = again(old, network, two, at=0.5, move_cost=11)
    cheap = again(old, network, profit(2), at=0.5, move_cost=9)
    free = again(old, network, profit(2), at=0.5)
    assert [row[0] for row in changes_of(dear)] == ["kept"]
    assert [row[:2] for row in changes_of(cheap)] == [("new", "Blue"), ("dropped", "Red")]
    assert free.result.objective - dear.result.objective == pytest.approx(10)


def test_new_order_is_served_and_what_was_announced_stays():
    """The order for 10 of P by 7 has it at 7, from V's second batch or the first."""
    order = Order("new", "P", 20, 6, late_cost=1)
    found = again(at=4, changes=[NewOrder(order)], keep_until=12)
    assert [row[0] for row in changes_of(found)] == ["kept"] * 3
    (served,) = found.schedule.orders
    assert served.parts == ((pytest.approx(7), pytest.approx(20)),)
    assert served.lateness(12) == pytest.approx(1)


def test_orders_keep_what_they_have_got():
    """10 of 20 are delivered by 4; the rest comes an hour later than it was due."""
    problem = late(12, Order("a", "P", 20, 7, partial=True))
    served = ServedOrder(problem.orders[0], ((4, 10), (7, 10)), may_miss=True)
    old = Schedule(
        batches=OLD.batches,
        final_stock=compute_final_stock(OLD.batches, NETWORK, orders=[served]),
        horizon=12,
        orders=(served,),
    )
    found = again(old, problem=problem, at=5, changes=[Late(SECOND, 1)], keep_until=12)
    (now,) = found.schedule.orders
    assert [(round(when, 4), round(amount, 4)) for when, amount in now.parts] == [(4, 10), (8, 10)]
    assert found.result.objective == pytest.approx(1)
    assert found.missing == pytest.approx(0, abs=1e-6)


def test_clock_times():
    problem = profit(12, start="2026-01-05T06:00")
    one = again(problem=problem, at="10:00", keep_until="2026-01-05T18:00", changes=[])
    assert one.schedule == OLD
    with pytest.raises(InvalidInputError, match="start"):
        again(at="10:00")


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"at": 12}, "before the horizon"),
        ({"at": 4, "changes": [Late(THIRD, 1)]}, "does not run at 4"),
        ({"at": 4, "changes": [Lost(FIRST)]}, "does not run at 4"),
        ({"at": 4, "changes": [Late(SECOND, 1), Lost(SECOND)]}, "another change"),
        ({"at": 4, "changes": [Down("X", 5, 6)]}, "unknown unit 'X'"),
        ({"at": 4, "changes": [Down("R", 1, 2)]}, "back at 2"),
        ({"at": 4, "changes": ["late"]}, "expected a list of Late"),
        ({"at": 4, "move_cost": -1}, "move_cost"),
        ({"at": 4, "keep_until": 3}, "keep_until, 3, lies before at, 4"),
        ({"at": 4, "changes": [Late(SECOND, 9)]}, "after the horizon"),
        ({"at": 4, "changes": [NewOrder(Order("n", "P", 5, 60))]}, "'n' is due at 60, after"),
        ({"at": 4, "problem": profit(20)}, "horizon, 20, is not that of the old"),
        (
            {"at": "2026-01-05T09:00+01:00", "problem": profit(12, start="2026-01-05T06:00")},
            "time zone",
        ),
    ],
)
def test_refused_by_name(more, named):
    with pytest.raises(InvalidInputError, match=named):
        again(**more)


def test_all_problems_at_once():
    with pytest.raises(InvalidInputError) as error:
        again(at=4, changes=[Down("X", 5, 6), Lost(FIRST)])
    assert len(error.value.problems) == 2


@pytest.mark.parametrize(
    "make", [lambda: Late(SECOND, 0), lambda: Down("R", 2, 2), lambda: Down("R", 0, float("nan"))]
)
def test_impossible_changes(make):
    with pytest.raises(InvalidInputError):
        make()


def test_late_into_maintenance_is_refused():
    network = plant({"I": {}} | P, CHAIN, units={"R": {"unavailable": [(11, 12)]}})
    batch = Batch("Make", "R", 8, 11, 10)
    old = old_schedule(batch, network=network)
    with pytest.raises(InvalidInputError, match="away from 11"):
        again(old, network, at=9, changes=[Late(batch, 0.5)])


def test_a_broken_schedule_is_refused():
    with pytest.raises(InvalidScheduleError, match="old schedule"):
        again(old_schedule(FIRST, Batch("Make", "R", 2, 5, 10)), at=1)


def a_plant_of_many_tasks(seed):
    """Draw 8 to 15 tasks in lines of two or three steps that share units."""
    random = Random(seed)
    tasks, states = {}, {}
    n_tasks = random.randint(8, 15)
    line = 0
    while len(tasks) < n_tasks:
        steps = min(random.choice([2, 3]), n_tasks - len(tasks))
        source = "A"
        for step in range(steps):
            state = f"S{line}{step}" if step < steps - 1 else f"P{line}"
            unit = f"U{step}{random.randint(0, 1)}"
            row = {"fixed_time": random.choice([1, 1.5, 2])}
            tasks[f"T{line}{step}"] = ({source: 1}, {state: 1}, {unit: row})
            price = random.randint(1, 5)
            states[state] = {"capacity": 20} if step < steps - 1 else {"price": price}
            source = state
        line += 1
    return plant(states, tasks)


@pytest.fixture(scope="module")
def drawn_schedules():
    """Schedules of drawn plants, and what was asked."""
    made = []
    for seed in range(4):
        network = a_plant_of_many_tasks(seed)
        problem = profit(8)
        found = best_schedule(network, problem, None, "unit_events", 5, gap=0.02)
        made.append((network, problem, found.schedule))
    return made


@pytest.mark.parametrize("seed", range(4))
def test_drawn_plants(drawn_schedules, seed):
    """No kept batch is broken, what has happened stays, and the whole replays clean."""
    network, problem, schedule = drawn_schedules[seed]
    running = [b for b in schedule.batches if b.start <= 3 < b.finish - 1e-6]
    change = Late(running[seed % len(running)], 0.4)
    same = again(schedule, network, problem, at=3, keep_until=8)
    assert same.schedule == schedule
    found = again(schedule, network, problem, at=3, keep_until=6, changes=[change])
    for batch in schedule.batches:
        if batch.start <= 3 and batch != change.batch:
            assert batch in found.schedule.batches
        if 3 < batch.start < 6 and batch not in found.moved:
            assert batch in found.schedule.batches
    table = found.changes
    assert sum(table["change"] == "late") == 1
    old = [b for b in schedule.batches if b.start > 3 + 1e-5]
    assert sum(table["change"].isin(["kept", "moved", "dropped"])) == len(old)
    new = [b for b in found.schedule.batches if b.start > 3 + 1e-5]
    assert sum(table["change"].isin(["kept", "moved", "new"])) == len(new)


# One unit per product and raw material without end: whatever overlaps a change on its own unit has
# to move, and nothing else.
APART = {f"Make{u}": ({"A": 1}, {f"P{u}": 1}, {u: {"fixed_time": 1}}) for u in ("U", "V")}


def drawn_apart(seed):
    """Two units, each with batches of an hour and gaps between them."""
    random = Random(seed)
    network = plant({"PU": {"price": 1}, "PV": {"price": 2}}, APART)
    batches = []
    for unit in "UV":
        time = random.choice([0.0, 0.5])
        while time + 1 <= 9:
            batches.append(Batch(f"Make{unit}", unit, time, time + 1, random.choice([5, 8, 10])))
            time += 1 + random.choice([0, 0, 0.25, 0.5, 1.5])
    return network, old_schedule(*batches, network=network, problem=profit(9))


@pytest.mark.few_seeds(2)
@pytest.mark.parametrize("seed", range(12))
def test_moves_what_it_meets_and_nothing_else(seed):
    network, old = drawn_apart(seed)
    random = Random(seed)
    at, until = 2.3, random.choice([4.0, 6.0, 9.0])
    running = [b for b in old.batches if b.start <= at < b.finish]
    if seed % 2 and running:
        change = Late(running[0], random.choice([0.2, 0.75, 1.6, 2.5]))
        unit, away = running[0].unit, (at, running[0].finish + change.by)
    else:
        begin = random.choice([3.0, 4.2, 5.0])
        change = Down("U", begin, begin + random.choice([0.4, 1.5]))
        unit, away = "U", (change.start, change.end)
    met = {
        batch
        for batch in old.batches
        if batch.unit == unit
        and at < batch.start < until
        and batch.start < away[1] - 1e-9
        and batch.finish > away[0] + 1e-9
    }
    lost = [b for b in running if isinstance(change, Down) and b.unit == "U"]
    lost = [b for b in lost if b.finish > away[0]]
    found = again(old, network, profit(9), at=at, changes=[change], keep_until=until)
    assert set(found.moved) == met
    for batch in old.batches:
        if at < batch.start < until and batch not in met:
            assert batch in found.schedule.batches
    assert sum(found.changes["change"] == "lost") == len(lost)


def test_running_at_the_start_and_late_again():
    """It had an hour to go at 0 and has two: V starts at 2. Lost, it gives nothing by then."""
    under_way = RunningBatch(task="Make", unit="R", started=-2, size=10, remaining=1)
    start = PlantState(running=[under_way])
    batches = (Batch("Use", "V", 1, 2, 10),)
    old = Schedule(
        batches=batches,
        final_stock=compute_final_stock(batches, NETWORK, start=start),
        horizon=4,
        start=start,
    )
    for change, n_made in ((Late(under_way, 1), 1), (Lost(under_way), 0)):
        found = again(old, problem=profit(4), at=0.5, changes=[change], keep_until=4)
        made = [b for b in found.schedule.batches if b.task == "Use"]
        assert [b.start for b in made] == [pytest.approx(2)] * n_made
        assert found.moved == batches
    assert found.schedule.start.running == ()


def test_early_output_of_a_late_batch_is_as_late():
    """I leaves 3 h before the end: at 3 instead of 1, and Use has it then.

    Lost at 1.5 the 5 that left at 1 are there: Use makes 5 of them and 5 of a batch from 1.5 on.
    """
    network = plant({"I": {}, "Q": {}} | P, EARLY)
    make, use = Batch("Make", "U", 0, 4, 10), Batch("Use", "V", 1, 2, 5)
    old = old_schedule(make, use, network=network, problem=profit(6))
    found = again(old, network, profit(6), at=0.5, changes=[Late(make, 2)], keep_until=6)
    (moved,) = (b for b in found.schedule.batches if b.task == "Use")
    assert moved.start >= 3 - 1e-6
    lost = again(old, network, profit(6), at=1.5, changes=[Lost(make)], keep_until=6)
    assert lost.schedule.final_stock["P"] == pytest.approx(10)


def test_nothing_idle_is_added():
    """The order needs one batch; 8 h would have room for eight."""
    problem = late(8, Order("a", "P", 10, 2))
    served = ServedOrder(problem.orders[0], ((2, 10),), may_miss=True)
    network = plant()
    batch = Batch("Make", "U", 1, 2, 10)
    old = Schedule(
        batches=(batch,),
        final_stock=compute_final_stock([batch], network, orders=[served]),
        horizon=8,
        orders=(served,),
    )
    found = again(old, network, problem, at=0.5, changes=[Down("U", 1, 3)])
    assert [b.start for b in found.schedule.batches] == [pytest.approx(3)]
    assert found.result.objective == pytest.approx(2)


def test_a_unit_that_holds_what_has_no_room_cannot_go_down():
    """R has held 10 of I since 3, and I has no tank."""
    batch = Batch("Make", "R", 0, 3, 10)
    old = old_schedule(batch, Batch("Use", "V", 5, 6, 10))
    with pytest.raises(InvalidInputError, match="no room"):
        again(old, at=4, changes=[Down("R", 4, 5)])


def test_late_across_a_pause():
    """R stands still from 5 to 6, so that 1 h more from 5 on is 7."""
    network = plant({"I": {}} | P, CHAIN, units={"R": {"paused": [(5, 6)]}})
    batch = Batch("Make", "R", 2, 5, 10)
    old = old_schedule(batch, Batch("Use", "V", 5, 6, 10), network=network)
    found = again(old, network, at=4, changes=[Late(batch, 1)], keep_until=12)
    assert Batch("Make", "R", 2, 7, 10) in found.schedule.batches
    uses = [b.start for b in found.schedule.batches if b.task == "Use"]
    assert min(uses) >= 7 - 1e-6
