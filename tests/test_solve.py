"""`solve`: statuses that say what was proven, and nothing else."""

from __future__ import annotations

import importlib
import math
from contextlib import contextmanager, nullcontext
from typing import ClassVar

import numpy as np
import pyomo.environ as pyo
import pytest

from stnopt.errors import InvalidInputError, SolverUnavailableError, UnsupportedModelError
from stnopt.solvers import (
    Status,
    bound_variables,
    relative_gap_between,
    solve,
    status_of,
)
from stnopt.solvers.handle import attach_handle, handle_of

solving = importlib.import_module("stnopt.solvers.solve")


def knapsack(n=3, *, sense=pyo.maximize):
    """Weights 2, 3, 4, ... and values 3, 4, 5, ... in a sack for 5: by hand 7 for the first two."""
    m = pyo.ConcreteModel()
    m.ITEMS = pyo.RangeSet(0, n - 1)
    m.take = pyo.Var(m.ITEMS, domain=pyo.Binary)
    m.fits = pyo.Constraint(expr=sum((2 + i) * m.take[i] for i in m.ITEMS) <= 5)
    sign = 1 if sense == pyo.maximize else -1
    m.value = pyo.Objective(expr=sign * sum((3 + i) * m.take[i] for i in m.ITEMS), sense=sense)
    return m


def hard(n=40):
    """A market split: any choice is feasible, and thousands of nodes do not prove the best."""
    m = pyo.ConcreteModel()
    m.ITEMS = pyo.RangeSet(0, n - 1)
    m.pick = pyo.Var(m.ITEMS, domain=pyo.Binary)
    m.over, m.under = pyo.Var(range(4), bounds=(0, 9999)), pyo.Var(range(4), bounds=(0, 9999))

    weights = np.random.default_rng(1).integers(0, 100, size=(4, n)).tolist()

    @m.Constraint(range(4))
    def split(m, row):
        half = sum(weights[row]) // 2
        total = sum(weights[row][i] * m.pick[i] for i in m.ITEMS)
        return total + m.under[row] - m.over[row] == half

    m.miss = pyo.Objective(expr=sum(m.over.values()) + sum(m.under.values()))
    return m


def free_pair():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, 4))
    m.y = pyo.Var(bounds=(0, 10))
    return m


def test_optimum_is_loaded_with_bound_and_gap():
    m = knapsack()
    result = solve(m)
    assert result.status is Status.OPTIMAL
    assert result.has_solution
    assert result.objective == result.bound == pytest.approx(7)
    assert result.gap == pytest.approx(0)
    assert [m.take[i].value for i in m.ITEMS] == [1, 1, 0]
    assert result.n_solves == 1
    assert result.n_nodes >= 0
    assert result.wall_time > 0


def test_bounds_keep_the_sign_of_the_objective():
    most, least = solve(knapsack()), solve(knapsack(sense=pyo.minimize))
    assert (most.objective, most.bound) == (pytest.approx(7), pytest.approx(7))
    assert (least.objective, least.bound) == (pytest.approx(-7), pytest.approx(-7))


@pytest.mark.parametrize("sense", [pyo.maximize, pyo.minimize])
def test_bound_lies_beyond_an_incumbent_that_is_not_optimal(sense):
    m = hard()
    if sense == pyo.maximize:
        expression = -m.miss.expr
        m.del_component("miss")
        m.miss = pyo.Objective(expr=expression, sense=pyo.maximize)
    result = solve(m, node_limit=20)
    assert result.status is Status.FEASIBLE
    assert result.objective == pytest.approx(pyo.value(m.miss))
    beyond = result.bound - result.objective
    assert (beyond if sense == pyo.maximize else -beyond) > 0
    assert result.gap == pytest.approx(abs(beyond) / abs(result.objective))


def test_linear_program_has_its_value_as_bound_and_no_nodes():
    m = free_pair()
    m.limit = pyo.Constraint(expr=m.x + 2 * m.y <= 8)
    m.gain = pyo.Objective(expr=3 * m.x + m.y + 1, sense=pyo.maximize)
    result = solve(m)
    assert result.status is Status.OPTIMAL
    assert result.objective == result.bound == pytest.approx(3 * 4 + 2 + 1)
    assert result.n_nodes is None


def test_infeasible_is_proven_and_leaves_the_values_alone():
    m = knapsack()
    solve(m)
    m.too_much = pyo.Constraint(expr=sum(m.take.values()) >= 3)
    result = solve(m)
    assert result.status is Status.INFEASIBLE
    assert (result.objective, result.bound, result.gap) == (None, None, None)
    assert not result.has_solution
    assert [m.take[i].value for i in m.ITEMS] == [1, 1, 0]


def test_constraint_of_numbers_alone_that_cannot_hold_is_infeasible():
    m = free_pair()
    m.x.fix(2)
    m.never = pyo.Constraint(expr=m.x >= 3)
    m.cost = pyo.Objective(expr=m.y)
    result = solve(m)
    assert result.status is Status.INFEASIBLE
    assert "never" in result.message


def test_crossed_bounds_are_infeasible():
    m = free_pair()
    m.x.setlb(5)
    m.cost = pyo.Objective(expr=m.x)
    assert solve(m).status is Status.INFEASIBLE


@pytest.mark.parametrize("domain", [pyo.Reals, pyo.Integers])
@pytest.mark.parametrize("sense", [pyo.maximize, pyo.minimize])
def test_unbounded_in_both_senses(domain, sense):
    m = pyo.ConcreteModel()
    m.x, m.y = pyo.Var(domain=domain), pyo.Var(domain=domain, bounds=(0, 1))
    m.tie = pyo.Constraint(expr=m.x + m.y <= 3 if sense == pyo.minimize else m.x + m.y >= 3)
    m.goal = pyo.Objective(expr=m.x, sense=sense)
    result = solve(m)
    assert result.status is Status.UNBOUNDED
    assert (result.objective, result.bound) == (None, None)


def test_unbounded_or_infeasible_is_settled_as_infeasible():
    m = pyo.ConcreteModel()
    m.x, m.y, m.z = pyo.Var(), pyo.Var(bounds=(0, None)), pyo.Var(bounds=(0, None))
    m.one = pyo.Constraint(expr=m.y - m.z >= 1)
    m.two = pyo.Constraint(expr=m.z - m.y >= 1)
    m.goal = pyo.Objective(expr=m.x + m.y + m.z)
    assert solve(m).status is Status.INFEASIBLE


def test_integers_without_a_solution_are_not_called_unbounded():
    m = pyo.ConcreteModel()
    m.x = pyo.Var(bounds=(0, None))
    m.i = pyo.Var(range(2), domain=pyo.Integers, bounds=(-50, 50))
    m.odd = pyo.Constraint(expr=4 * m.i[0] + 6 * m.i[1] == 7)
    m.goal = pyo.Objective(expr=m.x, sense=pyo.maximize)
    assert solve(m).status is Status.INFEASIBLE


def test_node_limit_with_an_incumbent_is_feasible():
    m = hard()
    result = solve(m, node_limit=5)
    assert result.status is Status.FEASIBLE
    assert m.pick[0].value in (0, 1)


def test_time_limit_before_anything_is_known_is_never_infeasible():
    result = solve(hard(300), time_limit=1e-4)  # without one it would not come back
    assert result.status in (Status.NO_SOLUTION, Status.FEASIBLE)


def test_time_limit_ends_the_search_with_its_best():
    for limit in (
        0.5,
        2.0,
        8.0,
        32.0,
        128.0,
        512.0,
        2048.0,
    ):  # a busy machine needs more for its first solution
        result = solve(hard(), time_limit=limit)
        if result.has_solution:
            break
    assert result.status is Status.FEASIBLE
    assert result.objective >= result.bound


def test_fixed_variables_keep_their_value():
    m = knapsack()
    m.take[1].fix(0)
    result = solve(m)
    assert result.objective == pytest.approx(5)
    assert (m.take[1].value, m.take[1].fixed) == (0, True)


def test_model_in_which_all_is_fixed_has_a_value():
    m = knapsack()
    m.take.fix(0)
    m.take[2].fix(1)
    result = solve(m)
    assert result.status is Status.OPTIMAL
    assert result.objective == result.bound == pytest.approx(5)


def test_constant_objective_and_no_variables():
    m = pyo.ConcreteModel()
    m.price = pyo.Objective(expr=5.0)
    result = solve(m)
    assert (result.status, result.objective) == (Status.OPTIMAL, 5.0)


def test_variable_that_appears_nowhere_gets_a_value_within_its_bounds():
    m = knapsack()
    m.apart, m.below = pyo.Var(bounds=(3, 7)), pyo.Var(bounds=(None, -2))
    m.stays = pyo.Var(initialize=5)
    solve(m)
    assert (m.apart.value, m.below.value, m.stays.value) == (3, -2, 5)


def test_without_objective_any_solution_will_do():
    m = free_pair()
    m.some = pyo.Constraint(expr=m.x + m.y == 6)
    result = solve(m)
    assert result.status is Status.OPTIMAL
    assert m.x.value + m.y.value == pytest.approx(6)


def test_warm_start_hands_over_the_incumbent():
    m = hard()
    first = solve(m, node_limit=200)
    second = solve(m, node_limit=0, warm_start=True)
    assert second.objective <= first.objective + 1e-6


def test_warm_start_without_values_and_with_a_wrong_one_still_finds_the_optimum():
    assert solve(knapsack(), warm_start=True).objective == pytest.approx(7)
    m = knapsack()
    for var in m.take.values():
        var.set_value(1)  # breaks the sack
    assert solve(m, warm_start=True).objective == pytest.approx(7)


def test_number_of_threads_may_change_between_solves():
    for threads in (1, 2, 1):
        assert solve(knapsack(), threads=threads).objective == pytest.approx(7)


def test_coefficient_without_bounds_is_refused_not_undecided():
    m = free_pair()
    m.factor = pyo.Param(initialize=math.inf, mutable=True)
    m.bad = pyo.Constraint(expr=m.factor * m.x + m.y >= 1)
    m.cost = pyo.Objective(expr=m.x)
    with pytest.raises(UnsupportedModelError, match="infinite"):
        solve(m)


@pytest.mark.parametrize("where", ["constraint", "objective"])
def test_nonlinear_models_are_refused_with_advice(where):
    m = free_pair()
    expression = pyo.exp(m.x) * m.y
    if where == "constraint":
        m.curve = pyo.Constraint(expr=expression <= 3)
        m.cost = pyo.Objective(expr=m.x)
    else:
        m.cost = pyo.Objective(expr=expression)
    with pytest.raises(UnsupportedModelError, match=r"solve_over_region.*scip.*minlp"):
        solve(m)


def test_two_active_objectives_are_refused_and_one_deactivated_is_not():
    m = knapsack()
    m.second = pyo.Objective(expr=m.take[0])
    with pytest.raises(UnsupportedModelError, match="several active objectives"):
        solve(m)
    m.second.deactivate()
    assert solve(m).objective == pytest.approx(7)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"time_limit": 0}, "time_limit: expected positive seconds"),
        ({"time_limit": -1.0}, "time_limit: expected positive seconds"),
        ({"time_limit": math.nan}, "time_limit: expected positive seconds"),
        ({"relative_gap": -0.1}, "relative_gap"),
        ({"relative_gap": 1.0}, "relative_gap"),
        ({"options": {"no_such_option": 1}}, "no_such_option"),
        ({"options": {"mip_max_nodes": -3}}, "mip_max_nodes"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(InvalidInputError, match=message):
        solve(knapsack(), **arguments)


def test_unknown_solver_names_the_known_ones():
    with pytest.raises(SolverUnavailableError, match=r"'cplux'.*highs.*scip"):
        solve(knapsack(), solver="cplux")


@pytest.mark.parametrize(("solver", "extra"), [("scip", "minlp"), ("gurobi", "gurobi")])
def test_missing_solver_names_the_extra(solver, extra, monkeypatch):
    class Absent:
        def available(self):
            return False

    module = importlib.import_module("stnopt.solvers.pyomo_engines")
    factory = type("Factory", (dict,), {"__call__": lambda self, name: Absent()})
    names = factory(scip_direct=None, gurobi_direct_minlp=None)
    monkeypatch.setattr(module, "SolverFactory", names)
    with pytest.raises(SolverUnavailableError, match=rf"stnopt\[{extra}\]"):
        solve(knapsack(), solver=solver)


def test_licence_that_refuses_a_model_is_an_error_and_other_exceptions_are_not(monkeypatch):
    class GurobiError(Exception):
        __module__ = "gurobipy._exception"

    class Limited:
        CONFIG: ClassVar[dict] = {}
        reason: Exception = GurobiError("Model too large for size-limited license")

        def available(self):
            return True

        def solve(self, model, **settings):
            raise self.reason

    module = importlib.import_module("stnopt.solvers.pyomo_engines")
    factory = type("Factory", (dict,), {"__call__": lambda self, name: Limited()})
    monkeypatch.setattr(module, "SolverFactory", factory(gurobi_direct=None))
    result = solve(knapsack(), solver="gurobi_direct")
    assert result.status is Status.ERROR
    assert "license" in result.message
    Limited.reason = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        solve(knapsack(), solver="gurobi_direct")


class Completed:
    """A handle that completes its block as a function says."""

    weak_relaxation = False

    def __init__(self, block, complete, *, broken=None, restrict=None):
        self.block, self.complete = block, complete
        self.broken, self.restrict = broken, restrict

    def add_violated(self):
        return self.complete(self.block)

    def breaks_rules(self):
        return self.broken is not None and self.broken(self.block)

    def restricted(self, *, keep):
        return None if self.restrict is None else self.restrict(self.block, keep)

    def tightened(self):
        return nullcontext()


def test_refine_adds_cuts_until_the_incumbent_obeys_them_all():
    m = free_pair()
    m.gain = pyo.Objective(expr=m.x + m.y, sense=pyo.maximize)
    m.cuts = pyo.ConstraintList()

    def refine(model):  # y <= 10 - x * x, a tangent at a time
        x, y = model.x.value, model.y.value
        if y <= 10 - x * x + 1e-6:
            return False
        model.cuts.add(model.y <= 10 - x * x - 2 * x * (model.x - x))
        return True

    attach_handle(m, Completed(m, refine))
    result = solve(m)
    assert result.status is Status.OPTIMAL
    assert result.objective == pytest.approx(10.25, abs=1e-4)  # x = 1/2
    assert result.n_solves == 1 + len(m.cuts)
    assert len(m.cuts) > 2


def test_refine_that_makes_the_model_infeasible_says_so():
    m = free_pair()
    m.gain = pyo.Objective(expr=m.x, sense=pyo.maximize)
    m.cuts = pyo.ConstraintList()

    def refine(model):
        model.cuts.add(model.x >= 5)
        return True

    attach_handle(m, Completed(m, refine))
    assert solve(m).status is Status.INFEASIBLE


def either_of_two(cut):
    """Earn 5 with `a` or 4 with `b`, and up to 10 with `x`; `cut` is added to the first answer."""
    m = pyo.ConcreteModel()
    m.a, m.b = pyo.Var(domain=pyo.Binary), pyo.Var(domain=pyo.Binary)
    m.x = pyo.Var(bounds=(0, 10))
    m.y = pyo.Var(bounds=(0, 10))
    m.one = pyo.Constraint(expr=m.a + m.b <= 1)
    m.gain = pyo.Objective(expr=5 * m.a + 4 * m.b + m.x, sense=pyo.maximize)
    m.cuts = pyo.ConstraintList()

    def refine(model):
        if len(model.cuts) > 0:
            return False
        model.cuts.add(cut(model))
        return True

    attach_handle(m, Completed(m, refine))
    return m


@pytest.mark.parametrize(
    ("cut", "objective", "n_solves"),
    [
        (lambda m: m.y >= m.x, 15, 2),  # other amounts are enough: the bound of 15 still holds
        (lambda m: m.x <= 10 - 7 * m.a, 14, 3),  # a alone would leave 8
        (lambda m: m.a <= 0.5, 14, 3),  # a is impossible
    ],
)
def test_refining_keeps_the_integers_first_and_gives_them_up_where_that_costs(
    cut, objective, n_solves
):
    m = either_of_two(cut)
    result = solve(m)
    assert (result.status, result.n_solves) == (Status.OPTIMAL, n_solves)
    assert result.objective == pytest.approx(objective)
    assert result.bound == pytest.approx(objective, rel=1e-4)
    assert m.a.value == (1 if objective == 15 else 0)
    assert not m.a.fixed
    assert not m.b.fixed


def first_is_forbidden(*, other, near_fails=False):
    """Earn 5 with `a` or `other` with `b` or `c`; whichever of the three comes first is forbidden.

    The looks hold that one off, or all three near the incumbent if `near_fails`.
    """
    m = pyo.ConcreteModel()
    m.pick = pyo.Var("abc", domain=pyo.Binary)
    m.one = pyo.Constraint(expr=m.pick["a"] + m.pick["b"] + m.pick["c"] <= 1)
    worth = {"a": 5, "b": other, "c": other}
    m.gain = pyo.Objective(expr=sum(worth[k] * m.pick[k] for k in "abc"), sense=pyo.maximize)
    m.cuts = pyo.ConstraintList()
    m.forbidden, m.looks = [], []

    def picked():
        return next((k for k in "abc" if m.pick[k].value > 0.5), None)

    def broken(model):
        if not model.forbidden:
            model.forbidden.append(picked())
        return picked() in model.forbidden and len(model.cuts) == 0

    def refine(model):
        if not broken(model):
            return False
        model.cuts.add(model.pick[model.forbidden[0]] <= 0)
        return True

    @contextmanager
    def held(model, keep):
        model.looks.append(keep)
        off = {"all": "abc", "others": "abc" if near_fails else "", "nothing": ""}[keep]
        off = off or model.forbidden[0]
        for k in off:
            model.pick[k].fix(0)
        yield
        for k in off:
            model.pick[k].unfix()

    def restrict(model, keep):
        return held(model, keep) if broken(model) else None

    attach_handle(m, Completed(m, refine, broken=broken, restrict=restrict))
    return m


@pytest.mark.parametrize(
    ("other", "near_fails", "objective", "looks", "n_cuts"),
    [
        (5, False, 5, ["all", "others"], 0),  # as good near the incumbent: nothing is added
        (5, True, 5, ["all", "others", "nothing"], 0),
        (4, False, 4, ["all", "others", "nothing"], 1),  # none as good: the rule is added
    ],
)
def test_incumbent_as_good_that_breaks_nothing_is_looked_for_before_rules_are_added(
    other, near_fails, objective, looks, n_cuts
):
    m = first_is_forbidden(other=other, near_fails=near_fails)
    result = solve(m)
    assert (result.status, m.looks, len(m.cuts)) == (Status.OPTIMAL, looks, n_cuts)
    assert (result.objective, result.bound) == pytest.approx((objective, objective), rel=1e-4)
    assert m.pick[m.forbidden[0]].value == 0
    assert not any(var.fixed for var in m.pick.values())


def test_looks_share_the_node_limit():
    m = first_is_forbidden(other=5)
    assert (solve(m, node_limit=0).status, m.looks) == (Status.NO_SOLUTION, [])


def test_time_limit_after_the_integers_were_kept_leaves_a_solution_and_an_honest_bound(monkeypatch):
    m = either_of_two(lambda m: m.x <= 10 - 7 * m.a)
    refine = handle_of(m).complete
    calls = []

    later, real = [0.0], solving.time.perf_counter
    monkeypatch.setattr(solving.time, "perf_counter", lambda: real() + later[0])

    def slow(model):
        calls.append(added := refine(model))
        if not added:
            later[0] += 2000.0
        return added

    attach_handle(m, Completed(m, slow))
    result = solve(m, time_limit=1500)
    assert result.status is Status.FEASIBLE
    assert (result.objective, m.a.value, m.x.value) == pytest.approx((8, 1, 3))
    assert result.bound == pytest.approx(15)
    assert calls == [True, False]


def test_node_limit_holds_for_all_solves_of_a_refinement_together():
    m = either_of_two(lambda m: m.y >= m.x)
    result = solve(m, node_limit=0)
    assert (result.status, result.objective, result.n_solves) == (Status.NO_SOLUTION, None, 1)
    assert result.bound == pytest.approx(15)
    assert solve(either_of_two(lambda m: m.y >= m.x), node_limit=10).has_solution


def test_time_limit_while_refining_keeps_only_the_bound(monkeypatch):
    later, real = [0.0], solving.time.perf_counter
    monkeypatch.setattr(solving.time, "perf_counter", lambda: real() + later[0])
    m = free_pair()
    m.gain = pyo.Objective(expr=m.x, sense=pyo.maximize)
    m.cuts = pyo.ConstraintList()

    def refine(model):  # never satisfied
        model.cuts.add(model.x <= model.x.value - 1e-7)
        later[0] += 10.0
        return True

    attach_handle(m, Completed(m, refine))
    result = solve(m, time_limit=500)
    assert (result.status, result.objective) == (Status.NO_SOLUTION, None)
    assert 3 < result.bound <= 4


@pytest.mark.parametrize(
    ("objective", "bound", "status"),
    [
        (None, 3.0, Status.NO_SOLUTION),
        (3.0, None, Status.FEASIBLE),
        (100.0, 100.005, Status.OPTIMAL),
        (100.0, 100.05, Status.FEASIBLE),
        (-100.0, -100.005, Status.OPTIMAL),
        (0.0, 5e-7, Status.OPTIMAL),
        (0.0, 5e-6, Status.FEASIBLE),
    ],
)
def test_status_follows_from_incumbent_and_bound(objective, bound, status):
    assert status_of(objective, bound, relative_gap=1e-4) is status


def test_gap_is_unknown_where_either_side_is():
    assert relative_gap_between(None, 1.0) is None
    assert relative_gap_between(1.0, None) is None
    assert relative_gap_between(-4.0, -5.0) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("limit", "integers", "expected"),
    [
        (None, False, [(0, 1), (0, 1), (0, 1)]),
        # the relaxation fills the sack with part of the third item
        (6.8, False, [(0.6, 1), (0.2, 1), (0, 0.6)]),
        (6.8, True, [(1, 1), (1, 1), (0, 0)]),
    ],
)
def test_ranges_of_what_is_as_good_as_a_limit(limit, integers, expected):
    m = knapsack()
    found = bound_variables(
        m, list(m.take.values()), objective_limit=limit, integers=integers, max_nodes=1000
    )
    assert np.array(found) == pytest.approx(np.array(expected), abs=2e-6)
    assert m.take[0].value is None
    assert m.value.active


def test_ranges_hold_what_no_row_and_no_bound_limits():
    m = pyo.ConcreteModel()
    m.x, m.y, m.alone = pyo.Var(), pyo.Var(bounds=(0, 5)), pyo.Var(bounds=(-1, 2))
    m.row = pyo.Constraint(expr=m.x <= 3 - m.y)
    m.cost = pyo.Objective(expr=m.y)
    found = bound_variables(m, [m.x, m.y, m.alone], objective_limit=1.0)
    assert found[0] == (-math.inf, pytest.approx(3, abs=1e-5))
    assert found[1] == pytest.approx((0, 1), abs=1e-5)
    assert found[2] == (-1, 2)
    assert bound_variables(m, [m.x], objective_limit=-1.0) is None
    m.never = pyo.Constraint(expr=m.x >= 4)
    assert bound_variables(m, [m.x]) is None
