"""The rows hold for every drawn sequence of batches, and cut what takes longer than there is."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from small_plants import plant, run, task

from stnopt.plant.problem import Problem
from stnopt.scheduling.search.capacity_bound import bound_by_periods
from stnopt.scheduling.search.period_sizes import limit_sizes_by_time
from stnopt.solvers.linear_program import ProgramBuilder


def draw_batches(random, fit, horizon):
    """One after the other, some with a rest between: start, finish, size."""
    batches, time = [], random.uniform(0, 1)
    while True:
        size = random.choice([fit.min_batch, fit.max_batch, random.uniform(2, 10)])
        finish = time + fit.duration(size)
        if finish > horizon:
            return batches
        batches.append((time, finish, size))
        time = finish + random.choice([0, 0, random.uniform(0, 2)])


@pytest.mark.parametrize("seed", range(20))
def test_no_sequence_of_batches_breaks_a_row(seed):
    random = Random(seed)
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {
            "Make": task(
                "A", "P", U=run(random.uniform(0.1, 2), 10, min_batch=2, time_per_amount=0.3)
            )
        },
    )
    (fit,) = network.suitabilities
    horizon = 20.0
    points = np.unique([0, horizon, *(random.uniform(0, horizon) for _ in range(30))])
    batches = draw_batches(random, fit, horizon)

    def count(which, weigh):
        return [sum(weigh(b) for b in batches if b[which] <= point) for point in points]

    rows = ProgramBuilder()
    columns = tuple(rows.columns(len(points)) for _ in range(4))
    limit_sizes_by_time(rows, fit, points, columns, earliest=0.0, same=1e-9)
    program = rows.build()
    x = np.zeros(len(program.cost))
    sums = [count(0, lambda b: b[2]), count(1, lambda b: b[2])]
    sums += [count(0, lambda b: 1), count(1, lambda b: 1)]
    for column, values in zip(columns, sums, strict=True):
        x[column] = values
    assert program.matrix.shape[0] > 20
    assert np.all(program.matrix @ x <= program.row_upper + 1e-9)


def test_a_batch_that_must_be_short_is_small():
    """1 h and 6 min per amount: in 1.5 h at most 5; hours alone allow three quarters of a 10."""
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task("A", "P", U=run(1, 10, time_per_amount=0.1))},
    )
    assert bound_by_periods(network, Problem(horizon=1.5), n_periods=1) == pytest.approx(
        5, rel=1e-5
    )


def test_a_pause_stretches_a_batch_and_lifts_no_limit():
    """From 0 to 3 with a pause of 1 h: a full batch of 2 h is possible, and 10 is proven."""
    network = plant(
        {"A": {"initial": "unlimited"}, "P": {"price": 1}},
        {"Make": task("A", "P", U=run(1, 10, time_per_amount=0.1))},
        units={"U": {"paused": [[1, 2]]}},
    )
    bound = bound_by_periods(network, Problem(horizon=3), n_periods=6)
    assert bound == pytest.approx(10, rel=1e-5)
