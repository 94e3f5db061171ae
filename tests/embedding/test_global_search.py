"""Certified optima against fine grids and samples: the MILP at fixed inputs, no cells, no cuts."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pyomo.environ as pyo
import pytest
from random_problems import NAMES, knapsack, random_region, variables_of

from stnopt.embedding import add_region_constraint, master_problem, solve_over_region
from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.kernels.registry import KERNELS
from stnopt.feasibility.region import KernelRegion, LinearRegion
from stnopt.solvers.solve import Status, solve


def point_of(m):
    return np.array([[var.value for var in m.x.values()]])


def best_at_points(m, points):
    """Best objective with the inputs fixed to each of the points; None if none is feasible."""
    sign = 1 if m.objective.sense == pyo.minimize else -1
    best = None
    for point in points:
        for var, x in zip(m.x.values(), point, strict=True):
            var.fix(x)
        outcome = solve(m, relative_gap=1e-6)
        if outcome.objective is not None:
            value = sign * outcome.objective
            best = value if best is None else min(best, value)
    for var in m.x.values():
        var.unfix()
    return None if best is None else sign * best


def assert_certified(m, region, result, *, margin=0.0, relative_gap=1e-4):
    assert result.status is Status.OPTIMAL
    assert result.gap <= relative_gap * 1.001
    assert region.decision(point_of(m))[0] <= -margin
    assert pyo.value(m.objective) == pytest.approx(result.objective, rel=1e-7, abs=1e-6)
    for row in m.component_data_objects(pyo.Constraint, active=True):
        if row.has_lb():
            assert pyo.value(row.body) >= pyo.value(row.lower) - 1e-5
        if row.has_ub():
            assert pyo.value(row.body) <= pyo.value(row.upper) + 1e-5


def each_kernel():
    """Each kernel with one input or with two, in one sense; the others take long."""
    for sense, kernel, n in product(("min", "max"), KERNELS, (1, 2)):
        quick = (n == 1) == (sense == "min") and n == 1 + list(KERNELS).index(kernel) % 2
        long = [] if quick else [pytest.mark.long]
        yield pytest.param(n, kernel, sense, marks=long)


@pytest.mark.parametrize(("n", "kernel", "sense"), list(each_kernel()))
def test_optimum_against_a_fine_grid(n, kernel, sense):
    """No grid point beats the bound; the incumbent is as good as the best point of the grid."""
    seed = 10 * n + len(kernel)
    region = random_region(seed, n=n, kernel=kernel)
    m = knapsack(seed, n=n, sense=sense)
    result = solve_over_region(m, region, variables_of(m, region))
    assert_certified(m, region, result)
    at = point_of(m)[0]
    if n == 1:
        grid = np.linspace(0, 100, 201)[:, None]
    else:
        axis = np.linspace(0, 100, 13)
        near = np.linspace(-4, 4, 5)
        grid = np.concatenate(
            [
                np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2),
                np.clip(at + np.stack(np.meshgrid(near, near), axis=-1).reshape(-1, 2), 0, 100),
            ]
        )
    grid = grid[region.decision(grid) <= 0]
    best = best_at_points(m, grid)
    sign = 1 if sense == "min" else -1
    assert sign * best >= sign * result.bound - 1e-6 * abs(best)
    assert sign * result.objective <= sign * best + 1e-4 * abs(best)


def test_a_loose_bound_is_still_a_bound():
    """Stopped at a gap of 30 %, the bound must not claim what only the incumbent reached."""
    differ = 0
    for seed in range(40, 46):
        region = random_region(seed, n=2)
        m = knapsack(seed, n=2, sense="max")
        loose = solve_over_region(m, region, variables_of(m, region), relative_gap=0.3)
        tight = solve_over_region(m, region, variables_of(m, region), relative_gap=1e-5)
        assert loose.bound >= tight.objective
        assert loose.gap == pytest.approx(abs(loose.objective - loose.bound) / loose.objective)
        differ += loose.objective < tight.objective - 1e-3
    assert differ > 0  # else the first assertion could not fail


@pytest.mark.long
@pytest.mark.parametrize(("n", "seed"), [(3, 5), (4, 4)])
def test_more_inputs_against_samples(n, seed):
    region = random_region(seed, n=n, gamma=1.5)
    m = knapsack(seed, n=n, sense="max")
    result = solve_over_region(m, region, variables_of(m, region))
    assert_certified(m, region, result)
    rng = np.random.default_rng(0)
    near = point_of(m)[0] + rng.normal(size=(400, n)) * rng.choice([1, 5, 20], (400, 1))
    points = np.concatenate([rng.uniform(0, 100, (300, n)), np.clip(near, 0, 100)])
    best = best_at_points(m, points[region.decision(points) <= 0][:100])
    assert best <= result.bound + 1e-6 * abs(best)
    assert result.objective >= best - 1e-4 * abs(best)


@pytest.mark.long
def test_islands():
    """Gamma so large that every vector is an island of its own."""
    rng = np.random.default_rng(3)
    vectors = rng.uniform(0, 100, (12, 2))
    region = KernelRegion(
        inputs=("A", "B"),
        kernel="rbf",
        support_vectors=vectors,
        dual_coefs=np.full(12, -1.0),
        offset=0.5,
        gamma=1.0,  # feasible within 0.83 of a vector
        lower=[0, 0],
        upper=[100, 100],
    )
    m = knapsack(1, n=2, sense="max")
    result = solve_over_region(m, region, variables_of(m, region))
    assert_certified(m, region, result)
    radius = np.sqrt(np.log(2))
    angles = np.linspace(0, 2 * np.pi, 9)
    ring = radius * np.column_stack([np.cos(angles), np.sin(angles)])
    points = np.concatenate([v + r * ring for v in vectors for r in (0.0, 0.999)])
    best = best_at_points(m, np.unique(points[region.decision(points) <= 0], axis=0))
    assert best <= result.bound + 1e-6 * abs(best)
    assert result.objective >= best - 1e-4 * abs(best)


def test_margin_moves_the_optimum_inside():
    region = random_region(11, n=2)
    objectives = []
    for margin in (0.0, 0.2):
        m = knapsack(11, n=2, sense="max")
        result = solve_over_region(m, region, variables_of(m, region), margin=margin)
        assert_certified(m, region, result, margin=margin)
        objectives.append(result.objective)
    assert objectives[1] < objectives[0]


def test_two_regions_and_a_linear_one_at_once():
    first, second = random_region(21, n=2, share=0.6), random_region(22, n=1, share=0.6)
    line = LinearRegion(
        inputs=("A", "B"), weights=[1.0, 1.0], offset=-70.0, lower=[0, 0], upper=[100, 100]
    )
    m = knapsack(21, n=2, sense="max")
    pairs = [
        (first, variables_of(m, first)),
        (second, {"A": m.x[1]}),
        (line, {"A": m.x[0], "B": m.x[1]}),
    ]
    result = solve_over_region(m, *pairs)
    assert_certified(m, first, result)
    at = point_of(m)
    assert second.decision(at[:, 1:])[0] <= 0
    assert line.decision(at)[0] <= 0
    axis = np.linspace(0, 100, 21)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    held = (first.decision(grid) <= 0) & (second.decision(grid[:, 1:]) <= 0)
    grid = grid[held & (line.decision(grid) <= 0)]
    best = best_at_points(m, grid)
    assert best <= result.bound + 1e-6 * abs(best)


def test_linear_region_alone_is_one_milp():
    line = LinearRegion(
        inputs=("A", "B"), weights=[1.0, 2.0], offset=-50.0, lower=[0, 0], upper=[100, 100]
    )
    m = knapsack(2, n=2, sense="max")
    result = solve_over_region(m, line, variables_of(m, line))
    assert_certified(m, line, result)
    other = knapsack(2, n=2, sense="max")
    add_region_constraint(other, line, variables_of(other, line))
    assert result.objective == pytest.approx(solve(other).objective, rel=1e-4)


def test_integer_inputs():
    region = random_region(31, n=2)
    m = knapsack(31, n=2, sense="max")
    for var in m.x.values():
        var.domain = pyo.NonNegativeIntegers
    result = solve_over_region(m, region, variables_of(m, region))
    assert_certified(m, region, result)
    grid = np.stack(np.meshgrid(np.arange(101.0), np.arange(101.0)), axis=-1).reshape(-1, 2)
    grid = grid[region.decision(grid) <= 0]
    price = grid @ [1.0, 1.0]
    best = best_at_points(m, grid[np.argsort(-price)][::25])
    assert best <= result.bound + 1e-6 * abs(best)


@pytest.fixture(scope="module")
def expected():
    """What the search finds over `random_region(11, n=2)` for `knapsack(11, n=2, sense="max")`."""
    region, m = random_region(11, n=2), knapsack(11, n=2, sense="max")
    return solve_over_region(m, region, variables_of(m, region))


def test_expressions_as_inputs(expected):
    region, indirect = random_region(11, n=2), knapsack(11, n=2, sense="max")
    indirect.half = pyo.Expression(expr=2 * (0.5 * indirect.x[0]))
    result = solve_over_region(indirect, region, {"A": indirect.half, "B": 1.0 * indirect.x[1]})
    assert result.status is Status.OPTIMAL
    assert result.objective == pytest.approx(expected.objective, rel=2e-4)


@pytest.mark.parametrize("form", ["algebraic", "split"])
def test_region_block_and_pair_agree(form, expected):
    region = random_region(11, n=2)
    m = knapsack(11, n=2, sense="max")
    added = add_region_constraint(m, region, variables_of(m, region), form=form)
    result = solve_over_region(m, added)
    assert_certified(m, region, result)
    assert added.block.inside_region.active
    assert abs(added.distance()) <= 1e-9
    assert added.decision_value() <= 1e-9
    assert result.objective == pytest.approx(expected.objective, rel=2e-4)


def everything(offset=-1.5):
    return KernelRegion(
        inputs=("A", "B"),
        kernel="rbf",
        support_vectors=[[50.0, 50.0]],
        dual_coefs=[1.0],
        offset=offset,
        gamma=1e-3,
        lower=[0, 0],
        upper=[100, 100],
    )


def test_region_that_covers_everything_takes_one_milp():
    m, plain = knapsack(4, n=2, sense="max"), knapsack(4, n=2, sense="max")
    result = solve_over_region(m, everything(), variables_of(m, everything()))
    assert result.status is Status.OPTIMAL
    assert result.n_solves == 1
    assert result.objective == pytest.approx(solve(plain).objective, rel=1e-4)


def test_empty_region_is_infeasible_without_an_milp():
    m = knapsack(4, n=2, sense="max")
    result = solve_over_region(m, everything(offset=0.5), variables_of(m, everything()))
    assert (result.status, result.n_solves) == (Status.INFEASIBLE, 0)
    assert "no feasible point" in result.message
    assert m.x[0].value is None


def test_region_out_of_the_model_s_reach_is_infeasible():
    """Some feasible points lie in the box, but the model cannot make any of them."""
    region = random_region(11, n=2)
    m = knapsack(11, n=2, sense="max")
    m.tie = pyo.Constraint(expr=m.x[0] + m.x[1] >= 230)
    assert solve_over_region(m, region, variables_of(m, region)).status is Status.INFEASIBLE


def test_time_limit_never_proves_infeasible():
    region = random_region(12, n=2, gamma=30.0, n_vectors=60, share=0.1)
    m = knapsack(12, n=2, sense="max")
    full = solve_over_region(m, region, variables_of(m, region))
    for limit in (1e-9, 0.05):
        result = solve_over_region(m, region, variables_of(m, region), time_limit=limit)
        assert result.status in (Status.NO_SOLUTION, Status.FEASIBLE, Status.OPTIMAL)
        if limit < 1e-6:
            assert result.status is Status.NO_SOLUTION
        if result.bound is not None:
            assert result.bound >= full.objective - 1e-6
        if result.objective is not None:
            assert result.objective <= full.bound + 1e-6


def state_of(m):
    components = {id(c): (c.name, getattr(c, "active", None)) for c in m.component_data_objects()}
    variables = [(v.bounds, v.fixed, v.domain) for v in m.component_data_objects(pyo.Var)]
    return components, variables, set(m.component_map())


def test_model_comes_back_unharmed():
    region = random_region(11, n=2)
    m = knapsack(11, n=2, sense="max")
    added = add_region_constraint(m, region, variables_of(m, region), form="split")
    m.spare = pyo.Objective(expr=0)
    m.spare.deactivate()
    before = state_of(m)
    assert solve_over_region(m, added).status is Status.OPTIMAL
    assert state_of(m) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("call", [1, 2, 3])
def test_model_comes_back_after_an_interrupt(monkeypatch, error, call):
    region = random_region(11, n=2)
    m = knapsack(11, n=2, sense="max")
    added = add_region_constraint(m, region, variables_of(m, region))
    for var in m.component_data_objects(pyo.Var):
        var.set_value(0)
    before = state_of(m)
    calls = []

    def interrupted(*args, **settings):
        calls.append(1)
        if len(calls) == call:
            raise error
        return solve(*args, **settings)

    monkeypatch.setattr(master_problem, "solve", interrupted)
    with pytest.raises(error):
        solve_over_region(m, added)
    assert state_of(m) == before


def test_bounds_are_proven_from_the_model(expected):
    region, m = random_region(11, n=2), knapsack(11, n=2, sense="max", upper=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the processes could make more than the training box
        result = solve_over_region(m, region, variables_of(m, region))
    assert m.x[0].ub is None
    assert result.objective >= expected.objective - 1e-4 * abs(expected.objective)


def test_unbounded_input_is_refused_by_name():
    region = random_region(11, n=2)
    m = knapsack(11, n=2, sense="max")
    m.loose = pyo.Var(bounds=(0, None))
    names = set(m.component_map())
    with pytest.raises(InvalidInputError, match=r"input 'B' has no upper bound.*loose"):
        solve_over_region(m, region, {"A": m.x[0], "B": m.loose})
    assert set(m.component_map()) == names
    assert m.objective.active


@pytest.mark.parametrize("n", [2, 3])
def test_box_far_larger_than_the_region(n):
    """The region is 60 wide in a box of 10^6: cells must find it, and resolve it."""
    disk = KernelRegion(
        inputs=NAMES[:n],
        kernel="rbf",
        support_vectors=np.full((1, n), 40.0),
        dual_coefs=[-1.0],
        offset=float(np.exp(-1.0)),  # feasible within 30 of the vector
        gamma=1 / 900,
        lower=np.zeros(n),
        upper=np.full(n, 100.0),
    )
    m = pyo.ConcreteModel()
    m.x = pyo.Var(range(n), bounds=(-1e6, 1e6))
    m.objective = pyo.Objective(expr=sum(m.x.values()), sense=pyo.maximize)
    result = solve_over_region(m, disk, variables_of(m, disk))
    assert_certified(m, disk, result)
    assert result.bound >= n * 40 + 30 * np.sqrt(n) - 1e-9 >= result.objective - 1e-9


def test_warns_where_the_classifier_extrapolates():
    m = knapsack(4, n=2, sense="max", upper=130.0)
    with pytest.warns(UserWarning, match=r"B to \[0, 130\] \(trained on \[0, 100\]\)"):
        solve_over_region(m, everything(), variables_of(m, everything()))


def test_warm_start_gives_the_same_optimum():
    region = random_region(11, n=2)
    m = knapsack(11, n=2, sense="max")
    first = solve_over_region(m, region, variables_of(m, region))
    again = solve_over_region(m, region, variables_of(m, region), warm_start=True)
    assert again.status is Status.OPTIMAL
    assert again.objective == pytest.approx(first.objective, rel=2e-4)


def test_progress_line_names_incumbent_bound_and_gap(capsys):
    region = random_region(11, n=2)
    m = knapsack(11, n=2, sense="max")
    solve_over_region(m, region, variables_of(m, region), progress=True)
    shown = capsys.readouterr().err
    for word in ("boxes", "incumbent", "bound", "gap"):
        assert word in shown


def test_refused_calls():
    region = random_region(11, n=2)
    m = knapsack(11, n=2, sense="max")
    variables = variables_of(m, region)
    with pytest.raises(InvalidInputError, match="no region given"):
        solve_over_region(m)
    with pytest.raises(InvalidInputError, match="RegionBlock or a pair"):
        solve_over_region(m, region)
    with pytest.raises(InvalidInputError, match=r"missing \['B'\]"):
        solve_over_region(m, region, {"A": m.x[0]})
    with pytest.raises(InvalidInputError, match="relative_gap"):
        solve_over_region(m, region, variables, relative_gap=0.0)
    with pytest.raises(InvalidInputError, match="time_limit"):
        solve_over_region(m, region, variables, time_limit=-1)
    m.square = pyo.Constraint(expr=m.x[0] ** 2 <= 4)
    with pytest.raises(UnsupportedModelError, match="constraint 'square' is nonlinear"):
        solve_over_region(m, region, variables)
    m.del_component("square")
    m.objective.deactivate()
    with pytest.raises(UnsupportedModelError, match="0 active objectives"):
        solve_over_region(m, region, variables)
    m.curved = pyo.Objective(expr=m.x[0] ** 2)
    with pytest.raises(UnsupportedModelError, match="objective 'curved' is nonlinear"):
        solve_over_region(m, region, variables)


def test_too_many_inputs_are_refused():
    names = tuple("ABCDEFGHI")
    region = KernelRegion(
        inputs=names,
        kernel="rbf",
        support_vectors=np.zeros((1, 9)),
        dual_coefs=[-1.0],
        offset=0.5,
        gamma=1.0,
        lower=np.zeros(9),
        upper=np.ones(9),
    )
    m = pyo.ConcreteModel()
    m.x = pyo.Var(names, bounds=(0, 1))
    m.objective = pyo.Objective(expr=sum(m.x.values()))
    with pytest.raises(UnsupportedModelError, match="9 inputs"):
        solve_over_region(m, region, dict(m.x.items()))


def test_unbounded_objective_is_refused():
    m = knapsack(4, n=2, sense="max")
    m.free = pyo.Var()
    m.objective.set_value(m.objective.expr + m.free)
    with pytest.raises(InvalidInputError, match=r"unbounded.*bound its objective"):
        solve_over_region(m, everything(), variables_of(m, everything()))
