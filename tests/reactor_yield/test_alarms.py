"""Low-yield alarms: nothing silent, causes against closed forms, moves against the simulator."""

from __future__ import annotations

from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from reactor_yield import fit_yield_model, generate_dataset, low_yield_alarm, simulate_reactor
from reactor_yield.cli import main
from reactor_yield.errors import InvalidConditionsError
from reactor_yield.monitoring.mending import find_mending_moves
from reactor_yield.monitoring.sensors import find_sensor_faults
from reactor_yield.monitoring.shapley import plan_shapley

CONDITIONS = ["Fao", "Fbo", "P", "To", "m", "Ta"]


class Formula:
    """A model whose prediction is a formula of its own, with an interval of +-0.1."""

    def __init__(self, features, formula, ranges=None):
        self.features = tuple(features)
        self.target = "y"
        self.formula = formula
        self.training_range = ranges or dict.fromkeys(features, (-10.0, 10.0))
        self.baseline = dict.fromkeys(features, 0.0)
        self.encoding = SimpleNamespace(features=())
        self.n_predicted = 0

    def predict(self, conditions):
        return self.predict_interval(conditions)

    def predict_interval(self, conditions, *, coverage=0.9):
        self.n_predicted += len(conditions)
        values = conditions[list(self.features)].apply(pd.to_numeric, errors="coerce").astype(float)
        y = pd.Series(self.formula(values), index=conditions.index)
        inside = pd.Series(True, index=conditions.index)
        for name, (low, high) in self.training_range.items():
            inside &= values[name].between(low, high)
        table = {"y": y, "lower": y - 0.1, "upper": y + 0.1, "in_range": inside}
        return pd.DataFrame(table | {"outside": np.where(inside, "", "out")})


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_shapley_values_are_those_of_all_orders(n):
    rng = np.random.default_rng(n)
    table = rng.normal(size=2**n)

    def value(mask):
        return table[int(np.dot(mask, 2 ** np.arange(n)))]

    expected = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        mask = np.zeros(n, dtype=int)
        for i in order:
            before = value(mask)
            mask[i] = 1
            expected[i] += (value(mask) - before) / len(orders)
    plan = plan_shapley(n)
    found = plan.weights @ np.array([value(m.astype(int)) for m in plan.changed])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_22_conditions_are_explained_without_all_subsets():
    """Of w.x + x0 x1 + x2 x3 x4 the Shapley values are w x, and equal shares of each product."""
    names = [f"c{i}" for i in range(22)]
    rng = np.random.default_rng(0)
    w = rng.normal(size=22)

    def formula(v):
        x = v.to_numpy()
        return x @ w + x[:, 0] * x[:, 1] - 40.0

    model = Formula(names, formula)
    x = rng.normal(size=22)
    found = low_yield_alarm(model, pd.DataFrame([x], columns=names), target=100.0)
    effects = found.causes.set_index("condition")["effect"]
    expected = w * x
    expected[:2] += x[0] * x[1] / 2
    np.testing.assert_allclose(effects[names], expected, atol=1e-9)
    assert model.n_predicted < 1_000  # all subsets were four million


def test_one_hot_columns_are_one_condition():
    names = ["T", "lot_A", "lot_B", "lot_C"]
    yields = {"lot_A": 1.0, "lot_B": -2.0, "lot_C": 0.0}

    def formula(v):
        # No category, or two of them, exist nowhere in the plant: they must not be asked for.
        lots = v[list(yields)].to_numpy()
        assert (lots.sum(axis=1) == 1).all()
        return v["T"] + lots @ list(yields.values())

    model = Formula(names, formula, {"T": (-5.0, 5.0)} | dict.fromkeys(yields, (0.0, 1.0)))
    normal = {"T": 0.0, "lot_A": 1.0, "lot_B": 0.0, "lot_C": 0.0}
    now = pd.DataFrame([normal | {"T": -1.0, "lot_A": 0.0, "lot_B": 1.0}])
    found = low_yield_alarm(model, now, target=1.0, baseline=normal)
    causes = found.causes.set_index("condition")
    assert list(causes.index) == ["lot_*", "T"]
    assert causes.loc["lot_*", ["baseline", "current", "effect"]].tolist() == ["A", "B", -3.0]
    assert causes.loc["T", "effect"] == -1.0
    table = pd.DataFrame([normal] * 3 + [normal | {"lot_A": 0.0, "lot_C": 1.0}])
    assert low_yield_alarm(model, now, target=1.0, baseline=table).baseline["lot_A"] == 1.0


def test_rows_that_cannot_be_judged_are_counted():
    model = Formula(["a", "b"], lambda v: v["a"] + v["b"])
    rows = pd.DataFrame({"a": [0.0, None, 0.0, np.inf], "b": [0.0, 0.0, "Bad", 0.0]})
    found = low_yield_alarm(model, rows, target=1.0)
    assert found.rows["judged"].tolist() == [True, False, False, False]
    assert found.rows["alarm"].tolist() == [True, False, False, False]
    assert found.n_judged == 1
    with pytest.raises(InvalidConditionsError, match="finite number"):
        low_yield_alarm(model, rows, target=float("nan"))


def test_lost_and_frozen_sensors_are_found():
    n = 60
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(n, 3)), columns=["a", "b", "c"])
    table["lot"] = ["K7", "M1"] * 30
    assert find_sensor_faults(table, ["a", "b", "c", "lot"]) == ()
    lost = table.assign(a=table["a"].where(table.index < 50))
    (fault,) = find_sensor_faults(lost, ["a", "b", "c"])
    assert (fault.column, fault.kind, fault.n_rows) == ("a", "lost", 10)
    text = table.assign(b="Bad Input")
    assert find_sensor_faults(text, ["a", "b", "c"])[0].kind == "lost"
    frozen = table.assign(c=table["c"].where(table.index < 30, 1.5))
    (fault,) = find_sensor_faults(frozen, ["a", "b", "c"])
    assert (fault.column, fault.kind, fault.n_rows) == ("c", "frozen", 30)
    assert find_sensor_faults(frozen, ["a", "b", "c"], set_points=["c"]) == ()
    assert find_sensor_faults(frozen, ["a", "b", "c"], reference=frozen) == ()
    # Nothing moves at all: a standstill, not one frozen sensor.
    assert find_sensor_faults(pd.DataFrame({"a": [1.0] * 40, "b": [2.0] * 40}), ["a", "b"]) == ()


@pytest.fixture(scope="module")
def mode_1():
    data = generate_dataset(3_000, seed=0)
    return data[data["Mode"] == 1]


@pytest.fixture(scope="module")
def model(mode_1):
    return fit_yield_model(mode_1, model="gp", n_points=500)


@pytest.mark.long
def test_the_mending_move_restores_the_target_on_the_simulator(mode_1, model):
    target = float(mode_1["Yc"].median())
    fresh = generate_dataset(400, seed=7)
    fresh = fresh[fresh["Mode"] == 1]
    alarm = low_yield_alarm(model, fresh, target=target).rows["alarm"].to_numpy()
    rows = fresh[alarm][CONDITIONS]
    mendable = []
    for i in range(len(rows)):
        tried = []
        for handle in CONDITIONS:
            table = pd.concat([rows.iloc[[i]]] * 21, ignore_index=True)
            table[handle] = np.linspace(*model.training_range[handle], 21)
            tried.append(table)
        found = simulate_reactor(pd.concat(tried, ignore_index=True), rtol=1e-5, atol=1e-7)
        if (found["Yc"] >= target).any():
            mendable.append(i)
        if len(mendable) == 25:
            break
    rows = rows.iloc[mendable]
    moves = find_mending_moves(model, rows, target=target, handles=CONDITIONS)
    assert len(rows) == 25
    assert set(moves["row"]) == set(rows.index)
    after = rows.copy()
    for move in moves.itertuples():
        low, high = model.training_range[move.handle]
        assert low <= move.proposed <= high
        after.loc[move.row, move.handle] = move.proposed
    restored = simulate_reactor(after)["Yc"] >= target
    assert restored.sum() >= 24  # 199 of 200 in benchmarks/monitoring.py


def test_the_least_move_of_a_formula_is_found():
    model = Formula(["a", "b"], lambda v: v["a"] + 3 * v["b"])
    moves = find_mending_moves(model, pd.DataFrame({"a": [0.0], "b": [0.0]}), target=3.0)
    # The cautious lower end is y - 0.15: b = 1.05 is the least, a would have to move by 3.15.
    assert moves["handle"].tolist() == ["b"]
    assert moves["proposed"].iloc[0] == pytest.approx(1.05, abs=0.02)
    assert moves["sure"].all()
    both = find_mending_moves(model, pd.DataFrame({"a": [0.0], "b": [0.0]}), target=35.0)
    assert both["handle"].tolist() == ["a", "b"]
    assert not len(find_mending_moves(model, pd.DataFrame({"a": [0.0], "b": [0.0]}), target=41.0))
    with pytest.raises(InvalidConditionsError, match=r"no handles of this model: \['z'\]"):
        find_mending_moves(model, pd.DataFrame({"a": [0.0]}), target=1.0, handles=["z"])


def test_the_command_is_never_silent(mode_1, tmp_path, capsys):
    model = fit_yield_model(mode_1.iloc[:500], model="ridge")
    model.save(tmp_path / "m.zip")
    now = mode_1[[*CONDITIONS, "Cto"]].iloc[:60]

    def ask(table, *more):
        text = table if isinstance(table, str) else table.to_csv(index=False)
        (tmp_path / "now.csv").write_text(text)
        files = [str(tmp_path / "m.zip"), str(tmp_path / "now.csv")]
        code = main(["alarm", "yield", *files, "--target", "0.85", "--top", "0", *more])
        said = capsys.readouterr()
        return code, said.out + said.err

    plain = now.to_csv(index=False)
    expected, _ = ask(now)
    assert expected == 3
    comma = now.assign(Ta=now["Ta"].map(lambda v: f"{v:.2f}".replace(".", ",")))
    assert ask(comma)[0] == 3
    code, said = ask(now.assign(m="Bad Input"))
    assert code == 2
    assert "m: no reading in the last 60 of 60 rows; sensor lost" in said
    assert "no row could be judged" in said
    code, said = ask(now.assign(m=now["m"].where(np.arange(60) < 50)), "--target", "0.1")
    assert code == 3
    assert "alarm: m: no reading in the last 10" in said
    assert "10 of 60 rows not judged, the first at" in said
    assert "line 52: m is missing" in said
    assert ask(plain.replace("\n", ",\n"))[0] == 3
    assert ask(plain.split("\n")[0] + "\n")[0] == 2
    code, said = ask(now.iloc[:3], "--handles", "m,P", "--moves", str(tmp_path / "moves.csv"))
    assert "mend" in said or code == 0
    assert (tmp_path / "moves.csv").exists()


def test_a_gap_in_text_is_told_as_missing():
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"T": rng.normal(80, 2, 200), "lot": rng.choice(["K7", "M1"], 200)})
    table["y"] = 50 + table["T"] - 5 * (table["lot"] == "M1") + 0.1 * rng.standard_normal(200)
    table.loc[:9, "lot"] = None
    model = fit_yield_model(table, model="ridge", features=("T", "lot"), target="y", gaps="impute")
    rows = pd.DataFrame({"T": [70.0, np.nan], "lot": [None, "M1"]})
    found = low_yield_alarm(model, rows, target=130.0)
    assert found.rows["alarm"].all()
    told = found.causes.set_index(["row", "condition"])["current"]
    assert told[0, "lot"] == "missing"
    assert told[1, "T"] == "missing"
