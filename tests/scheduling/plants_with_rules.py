"""Small plants with maintenance, changeovers, a utility and deliveries, solved by hand.

Each function returns a case whose best value was worked out on paper; its docstring has the
reasoning, and what comes out when the rule is ignored or read wrongly. `schedule` is one of the
best schedules.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from stnopt.plant.network import Network
from stnopt.plant.problem import Delivery, Problem
from stnopt.plant.recipe import State, Suitability, Task
from stnopt.plant.rules import Unit, Utility
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock


class Known(NamedTuple):
    """A plant, what is asked of it, the best value, and a schedule that reaches it."""

    network: Network
    problem: Problem
    best: float
    schedule: Schedule


def all_cases():
    """Every case of this module, by name."""
    cases = (
        maintenance,
        maintenance_makespan,
        changeover,
        changeover_after_waiting,
        utility,
        deliveries,
    )
    return {case.__name__: case() for case in cases}


def make_plant(name, states, tasks, units=(), utilities=()):
    """A plant from short rows: task -> (consumes, produces, units); A never runs out."""
    return Network(
        name=name,
        amount_unit="kg",
        time_unit="h",
        states={
            s: State(name=s, **row) for s, row in ({"A": {"initial": math.inf}} | states).items()
        },
        tasks={
            task: Task(
                name=task,
                consumes=consumes,
                produces=produces,
                units={
                    unit: Suitability(task=task, unit=unit, max_batch=10, **row)
                    for unit, row in rows.items()
                },
            )
            for task, (consumes, produces, rows) in tasks.items()
        },
        unit_rules={unit: Unit(name=unit, **row) for unit, row in dict(units).items()},
        utilities={
            u: Utility(name=u, capacity=capacity) for u, capacity in dict(utilities).items()
        },
    )


def _known(network, problem, best, *rows):
    batches = [Batch(*row) for row in rows]
    schedule = Schedule(
        batches=batches,
        final_stock=compute_final_stock(batches, network, problem.deliveries),
        horizon=problem.horizon,
        deliveries=problem.deliveries,
    )
    return Known(network, problem, best, schedule)


def maintenance():
    """14 within 11 h: U1 makes I in 2 h, away from 3 to 6; U2 uses it in 3 h, away until 4.

    I's tank holds 4. Of what U1 makes before 3, nothing may stay in it from 3 on, and U2 takes
    nothing before 4: at most 4 cross that hour, in the tank. U2 has 7 h from 4 on, so it runs at
    most twice. With two runs the first one starts by 5, when there are those 4 at most, since
    U1's next batch ends at 8 or later; the second one starts by 8 and takes at most 10. With one
    run there are at most 10.

    Were I allowed to wait in U1 during its maintenance, the first run would take 10: 20.
    """
    network = make_plant(
        "maintenance",
        {"I": {"capacity": 4}, "P": {"price": 1}},
        {
            "Make": ({"A": 1}, {"I": 1}, {"U1": {"fixed_time": 2}}),
            "Use": ({"I": 1}, {"P": 1}, {"U2": {"fixed_time": 3}}),
        },
        units={"U1": {"unavailable": [(3, 6)]}, "U2": {"unavailable": [(0, 4)]}},
    )
    return _known(
        network,
        Problem(objective="profit", horizon=11),
        14,
        ("Make", "U1", 0, 2, 4),
        ("Use", "U2", 4, 7, 4),
        ("Make", "U1", 6, 8, 10),
        ("Use", "U2", 8, 11, 10),
    )


def maintenance_makespan():
    """10 h for 30 of P: 2 h per batch of 10 on U, which is away from 3 to 6.

    Before 3 there is time for one batch; the other two need 4 h after 6. Without maintenance: 6 h.
    """
    network = make_plant(
        "maintenance_makespan",
        {"P": {"price": 1}},
        {"Make": ({"A": 1}, {"P": 1}, {"U": {"fixed_time": 2}})},
        units={"U": {"unavailable": [(3, 6)]}},
    )
    return _known(
        network,
        Problem(objective="makespan", horizon=20, targets={"P": 30}),
        10,
        ("Make", "U", 0, 2, 10),
        ("Make", "U", 6, 8, 10),
        ("Make", "U", 8, 10, 10),
    )


def changeover():
    """100 within 5 h: two batches each of Red and Blue, an hour a batch, on one unit.

    There is raw material for 20 of Blue, and V washes 10 of Red's until 2 and 10 until 4, so that
    3 * 20 + 2 * 20 is the most. It is reached by Blue, Blue, an hour for the changeover from Blue
    to Red, Red, Red. From Red to Blue it is 2 h: whoever reads the pair the wrong way round
    finds 80 (Blue, Red, Red). Without changeovers the best is 100, too, but Red then runs at 2.
    """
    network = make_plant(
        "changeover",
        {
            "RawRed": {},
            "RawBlue": {"initial": 20},
            "R": {"price": 3},
            "B": {"price": 2},
        },
        {
            "Wash": ({"A": 1}, {"RawRed": 1}, {"V": {"fixed_time": 2}}),
            "Red": ({"RawRed": 1}, {"R": 1}, {"U": {"fixed_time": 1}}),
            "Blue": ({"RawBlue": 1}, {"B": 1}, {"U": {"fixed_time": 1}}),
        },
        units={"U": {"changeovers": {("Red", "Blue"): 2, ("Blue", "Red"): 1}}},
    )
    return _known(
        network,
        Problem(objective="profit", horizon=5),
        100,
        ("Wash", "V", 0, 2, 10),
        ("Blue", "U", 0, 1, 10),
        ("Blue", "U", 1, 2, 10),
        ("Wash", "V", 2, 4, 10),
        ("Red", "U", 3, 4, 10),
        ("Red", "U", 4, 5, 10),
    )


def changeover_after_waiting():
    """75 within 9 h: U makes I (no tank) or Q in 1 h each, cleaned 2 h from Make to Other.

    V uses I in 4 h, each 10 of it worth 30, and 10 of Q are worth 5. Both runs of Use that fit
    must start at 1 and 5, so that Make runs from 0 to 1 and again to 5 at the latest; what it
    makes then waits in U until 5, and only then U can be cleaned: Other runs from 7 on, twice.
    Between 1 and 5 there is the cleaning, one Other and the second Make. So 60 + 3 * 5. One run of
    Use gives at most 30 and, beside one Make, 8 * 5; none gives 9 * 5.

    Were I allowed to wait in U while it is cleaned, Other would run four times from 5 on: 80.
    Without changeovers: 95.
    """
    network = make_plant(
        "changeover_after_waiting",
        {"I": {"capacity": 0}, "P": {"price": 3}, "Q": {"price": 0.5}},
        {
            "Make": ({"A": 1}, {"I": 1}, {"U": {"fixed_time": 1}}),
            "Other": ({"A": 1}, {"Q": 1}, {"U": {"fixed_time": 1}}),
            "Use": ({"I": 1}, {"P": 1}, {"V": {"fixed_time": 4}}),
        },
        units={"U": {"changeovers": {("Make", "Other"): 2}}},
    )
    return _known(
        network,
        Problem(objective="profit", horizon=9),
        75,
        ("Make", "U", 0, 1, 10),
        ("Use", "V", 1, 5, 10),
        ("Other", "U", 3, 4, 10),
        ("Make", "U", 4, 5, 10),
        ("Use", "V", 5, 9, 10),
        ("Other", "U", 7, 8, 10),
        ("Other", "U", 8, 9, 10),
    )


def utility():
    """20 within 4 h: two heaters, 2 h a batch, each drawing 2 + 0.8 B of the 10 of steam.

    A batch takes 2 (2 + 0.8 B) of the 40 steam hours there are, so that n batches make at most
    (40 - 4 n) / 1.6: 20 for two, less for more, and one batch is 10 at most. Two full batches draw
    all the steam there is, one from the instant at which the other ends. With steam for all: 40.
    """
    draws = {"fixed_time": 2, "draws": {"steam": 2}, "draws_per_amount": {"steam": 0.8}}
    network = make_plant(
        "utility",
        {"P": {"price": 1}},
        {"Heat": ({"A": 1}, {"P": 1}, {"H1": draws, "H2": draws})},
        utilities={"steam": 10},
    )
    return _known(
        network,
        Problem(objective="profit", horizon=4),
        20,
        ("Heat", "H1", 0, 2, 10),
        ("Heat", "H2", 2, 4, 10),
    )


def deliveries():
    """46 within 8 h: Red (3 h, worth 3) or Blue (1 h, worth 0.5) on one unit; Blue's tank holds 8.

    Blue is due: 4 at 1, 16 at 4. So Blue runs from 0 to 1, and another full batch of it ends by 4.
    Red cannot run before that one, since 3 h do not fit between 1 and 3. Nor can it start between
    that batch and 4: of the 20 made until then 4 have left, 16 would have to go to the tank. So one
    Red fits, from 4 to 5 on. When it starts at 4, at most 8 were in the tank and 10 in the unit
    before the 16 left, so that 2 are in the tank, and from 7 to 8 Blue makes 10 more; when it
    starts later, no Blue fits after it, and at most the tank's 8 are left at the end. So Blue is
    at most 4 + 16 + 2 + 10: 30 + 0.5 * 32. Without Red at most the tank's 8 and 10 in the unit are
    left: 0.5 * 38.

    Without the tank's limit: 70 (Blue, Blue, Red, Red). Without deliveries: 69.
    """
    network = make_plant(
        "deliveries",
        {"R": {"price": 3}, "B": {"price": 0.5, "capacity": 8}},
        {
            "Red": ({"A": 1}, {"R": 1}, {"U": {"fixed_time": 3}}),
            "Blue": ({"A": 1}, {"B": 1}, {"U": {"fixed_time": 1}}),
        },
    )
    due = (Delivery("B", 1, 4), Delivery("B", 4, 16))
    return _known(
        network,
        Problem(objective="profit", horizon=8, deliveries=due),
        46,
        ("Blue", "U", 0, 1, 10),
        ("Blue", "U", 1, 2, 2),
        ("Blue", "U", 3, 4, 10),
        ("Red", "U", 4, 7, 10),
        ("Blue", "U", 7, 8, 10),
    )
