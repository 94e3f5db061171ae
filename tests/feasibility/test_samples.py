"""Sampling, labelled tables, a plant's records, and the score of a region."""

from __future__ import annotations

import math
import pickle
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from stnopt.errors import InvalidInputError
from stnopt.feasibility.region import LinearRegion
from stnopt.feasibility.samples import (
    RegionScore,
    TargetSamples,
    sample_targets,
    score_region,
    wilson_interval,
)

BOX = {"S9": (0.0, 110.0), "S8": (20.0, 30.0)}


# --- sample_targets -----------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["sobol", "uniform"])
@pytest.mark.parametrize("n", [1, 2, 3, 120, 128])
def test_random_samples_have_the_asked_number_inside_the_box(method, n):
    table = sample_targets(BOX, n, seed=3, method=method)
    assert table.shape == (n, 2)
    assert list(table.columns) == ["S9", "S8"]
    assert table["S9"].between(0, 110).all()
    assert table["S8"].between(20, 30).all()


@pytest.mark.parametrize("method", ["sobol", "uniform"])
def test_same_seed_same_targets(method):
    first = sample_targets(BOX, 50, seed=1, method=method)
    pd.testing.assert_frame_equal(first, sample_targets(BOX, 50, seed=1, method=method))
    assert not first.equals(sample_targets(BOX, 50, seed=2, method=method))


def test_fewer_sobol_targets_are_the_head_of_more():
    more = sample_targets(BOX, 200, seed=5)
    pd.testing.assert_frame_equal(sample_targets(BOX, 120, seed=5), more.head(120))


def test_sobol_covers_the_box_evenly():
    table = sample_targets(BOX, 64, seed=0)
    counts, _, _ = np.histogram2d(table["S9"], table["S8"], bins=8, range=[[0, 110], [20, 30]])
    assert counts.tolist() == [[1] * 8] * 8  # a (0, 6, 2)-net in base 2


def test_grid_rounds_up_to_a_full_factorial_with_the_bounds():
    table = sample_targets(BOX, 120, seed=0, method="grid")
    assert len(table) == 121
    assert sorted(set(table["S9"])) == np.linspace(0, 110, 11).tolist()
    assert table["S8"].min() == 20.0
    assert table["S8"].max() == 30.0
    assert not table.duplicated().any()


@pytest.mark.parametrize(
    ("n", "p", "expected"), [(125, 3, 125), (126, 3, 216), (1, 2, 1), (10**6, 6, 10**6)]
)
def test_grid_sizes_are_exact(n, p, expected):
    # a floating-point cube root of 125 is 4.999..., of 10**6 is 9.999...
    table = sample_targets({f"P{j}": (0, 1) for j in range(p)}, n, seed=0, method="grid")
    assert len(table) == expected


def test_grid_of_one_is_the_middle():
    assert sample_targets(BOX, 1, seed=0, method="grid").to_numpy().tolist() == [[55.0, 25.0]]


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ({}, "expected a mapping"),
        ([(0, 1)], "expected a mapping"),
        ({"S9": (0, 0)}, "'S9': need finite lower < upper"),
        ({"S9": (5, 1), "S8": (0, math.inf)}, "'S9': need.*'S8': need"),
        ({"S9": (math.nan, 1)}, "'S9': need finite"),
        ({"S9": (0, 1, 2)}, r"'S9': expected \(lower, upper\)"),
        ({"S9": 4}, r"'S9': expected \(lower, upper\)"),
        ({3: (0, 1)}, "3: a product's name must be text"),
    ],
)
def test_bad_bounds_are_refused_by_name(bounds, message):
    with pytest.raises(InvalidInputError, match=message):
        sample_targets(bounds, 10, seed=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_samples": 0}, "n_samples"),
        ({"n_samples": 2.5}, "n_samples"),
        ({"n_samples": True}, "n_samples"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"method": "latin"}, "expected one of 'sobol', 'uniform', 'grid', got 'latin'"),
    ],
)
def test_bad_sampling_arguments(changes, message):
    arguments = {"n_samples": 10, "seed": 0, **changes}
    with pytest.raises(InvalidInputError, match=message):
        sample_targets(BOX, **arguments)


# --- TargetSamples ------------------------------------------------------------------------------


def samples(**changes) -> TargetSamples:
    values = {
        "targets": pd.DataFrame({"S9": [0.1 + 0.2, 1 / 3, 1e-300, 4.0], "S8": [1, 2, 3, 4]}),
        "labels": [-1, 1, 0, 1],
        "scope": {"plant": 'ex2 "é"\nline', "horizon": 8.0, "n_events": 6, "require": None},
    }
    return TargetSamples(**{**values, **changes})


def test_decided_leaves_the_undecided_out():
    decided = samples().decided
    assert decided.labels.tolist() == [-1, 1, 1]
    assert decided.targets["S8"].tolist() == [1.0, 2.0, 4.0]
    assert decided.targets.index.tolist() == [0, 1, 2]
    assert decided.scope == samples().scope
    assert samples().counts() == {"feasible": 1, "infeasible": 2, "undecided": 1}
    assert samples().products == ("S9", "S8")


def test_samples_are_read_only_and_own_their_data():
    table, labels = pd.DataFrame({"A": [1.0, 2.0]}), np.array([1, -1])
    owned = TargetSamples(targets=table, labels=labels)
    table.loc[0, "A"] = 99.0
    labels[0] = 0
    assert owned.targets["A"].tolist() == [1.0, 2.0]
    assert owned.labels.tolist() == [1, -1]
    with pytest.raises(FrozenInstanceError):
        owned.labels = labels
    with pytest.raises(ValueError, match="read-only"):
        owned.labels[0] = 0
    with pytest.raises(TypeError):
        owned.scope["plant"] = "other"


def test_csv_round_trip_is_exact(tmp_path):
    path = tmp_path / "samples.csv"
    samples().to_csv(path)
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith('# scope: {"plant": "ex2')
    assert lines[1:3] == ["S9,S8,label", "0.30000000000000004,1.0,-1"]
    assert TargetSamples.from_csv(path) == samples()
    assert pickle.loads(pickle.dumps(samples())) == samples()


def test_awkward_product_names_survive(tmp_path):
    table = pd.DataFrame({"A, the first": [1.0], 'B "quoted"': [2.0]})
    original = TargetSamples(targets=table, labels=[1])
    original.to_csv(tmp_path / "s.csv")
    assert TargetSamples.from_csv(str(tmp_path / "s.csv")) == original


def test_csv_without_a_scope_line_is_read(tmp_path):
    path = tmp_path / "by_hand.csv"
    path.write_text("\ufeffS9,label\n1,-1\n\n2,+1\n", encoding="utf-8")
    loaded = TargetSamples.from_csv(path)
    assert loaded.labels.tolist() == [-1, 1]
    assert dict(loaded.scope) == {}


def test_equality_sees_every_part():
    assert samples() != samples(labels=[-1, 1, 0, -1])
    assert samples() != samples(scope={})
    assert samples() != samples(targets=samples().targets * 2)
    assert samples() != samples(targets=samples().targets.rename(columns={"S8": "S7"}))


def test_every_bad_line_is_reported_at_once(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("# scope: {}\nS9,S8,label\n1,2,-1\n1,x,1\n1,2\n1,nan,7\n3,4,1\n")
    with pytest.raises(InvalidInputError) as caught:
        TargetSamples.from_csv(path)
    lines = str(caught.value).splitlines()
    assert "bad.csv" in lines[0]
    assert "4 problems" in lines[0]
    assert sorted(lines[1:]) == [
        "  - line 4: S8 must be a finite number, got 'x'",
        "  - line 5: expected 3 fields, found 2",
        "  - line 6: S8 must be a finite number, got 'nan'",
        "  - line 6: label must be -1, 0 or 1, got '7'",
    ]


def test_a_very_long_list_of_problems_is_counted(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("S9,label\n" + "x,1\n" * 80)
    with pytest.raises(InvalidInputError, match=r"80 problems(?s:.*)and 30 more$"):
        TargetSamples.from_csv(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty file"),
        ("# scope: {\nS9,label\n", "line 1: unreadable scope"),
        ("# scope: [1]\nS9,label\n", "line 1: unreadable scope: scope: expected a mapping"),
        ("S9,S8\n1,2\n", "expected columns of targets and then 'label'.*from_records"),
        ("label\n1\n", "expected columns of targets"),
        ("S9,S9,label\n1,2,1\n", r"columns \['S9'\] appear more than once"),
        ('S9,label\n1,-1\n"2,1\n', "line 3: unexpected end of data"),
    ],
)
def test_unreadable_csv(tmp_path, text, message):
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=message):
        TargetSamples.from_csv(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"targets": np.zeros((4, 2))}, "expected a DataFrame.*got ndarray"),
        ({"targets": pd.DataFrame(index=range(4))}, "a column per product, got none"),
        ({"targets": pd.DataFrame(np.zeros((4, 2)))}, r"named by text, got \[0, 1\]"),
        (
            {"targets": pd.DataFrame(np.zeros((4, 2)), columns=["A", "A"])},
            r"columns \['A'\] appear more than once",
        ),
        ({"targets": pd.DataFrame({"label": [1.0] * 4})}, "'label' is taken"),
        ({"targets": pd.DataFrame({"A": [1, 2, math.nan, 4]})}, "'A' is nan in row 2"),
        ({"targets": pd.DataFrame({"A": [1, 2, math.inf, 4]})}, "'A' is inf in row 2"),
        ({"targets": pd.DataFrame({"A": list("abcd")})}, "targets: expected numbers"),
        ({"labels": [-1, 1]}, r"expected one per target, shape \(4,\), found \(2,\)"),
        ({"labels": [[-1, 1, 1, 1]]}, "found"),
        ({"labels": [-1, 1, 2, 1]}, "got .*2.* in row 2"),
        ({"labels": [-1, 1, math.nan, 1]}, "in row 2"),
        ({"labels": [True, False, True, False]}, "expected -1"),
        ({"labels": list("abcd")}, "in row 0"),
        ({"scope": {"horizon": math.inf}}, r"scope\['horizon'\]: expected text, a finite number"),
        ({"scope": {"rule": {"profit": 200}}}, r"scope\['rule'\]"),
        ({"scope": {8: "horizon"}}, r"scope\[8\]"),
    ],
)
def test_bad_samples_are_refused(changes, message):
    with pytest.raises(InvalidInputError, match=message):
        samples(**changes)


# --- a plant's records --------------------------------------------------------------------------

HISTORY = {"S9": [10, 20, 30, 40], "S8": [1.5, 2.5, 3.5, 4.5], "operator": list("abcd")}


@pytest.mark.parametrize(
    "met",
    [
        [True, False, True, False],
        ["yes", "no", " YES ", "No"],
        ["feasible", "infeasible", "Feasible", "infeasible"],
        [-1, 1, -1, 1],
        [-1.0, 1.0, -1.0, 1.0],
        ["-1", "+1", "-1.0", "1"],
        ["true", "False", "TRUE", "false"],
    ],
)
def test_records_from_a_table_and_from_a_file(met, tmp_path):
    table = pd.DataFrame({**HISTORY, "met": met})
    path = tmp_path / "history.csv"
    table.to_csv(path, index=False)
    for source in (table, path, str(path)):
        loaded = TargetSamples.from_records(source, inputs=["S8", "S9"], label="met")
        assert loaded.products == ("S8", "S9")
        assert loaded.labels.tolist() == [-1, 1, -1, 1]
        assert loaded.targets["S9"].tolist() == [10.0, 20.0, 30.0, 40.0]
        assert dict(loaded.scope) == {}


def test_bad_records_are_refused_by_row(tmp_path):
    table = pd.DataFrame({**HISTORY, "met": ["yes", "maybe", None, "no"]}, index=[7, 8, 9, 10])
    table.loc[10, "S9"] = math.nan
    with pytest.raises(InvalidInputError) as caught:
        TargetSamples.from_records(table, inputs=["S9", "S8"], label="met")
    message = str(caught.value)
    assert "records: 3 problems" in message
    assert "row 8: met must be yes/no, true/false, feasible/infeasible or -1/+1" in message
    assert "row 9: met must be" in message
    assert "row 10: S9 must be a finite number" in message
    path = tmp_path / "history.csv"
    table.to_csv(path, index=False)
    with pytest.raises(InvalidInputError, match=r"line 3(?s:.*)line 4(?s:.*)line 5: S9 must be"):
        TargetSamples.from_records(path, inputs=["S9", "S8"], label="met")


@pytest.mark.parametrize("value", [0, 2, "0", "y", "met", math.nan])
def test_ambiguous_outcomes_are_refused(value):
    table = pd.DataFrame({**HISTORY, "met": ["yes", "no", "yes", value]})
    with pytest.raises(InvalidInputError, match="row 3: met must be"):
        TargetSamples.from_records(table, inputs=["S9"], label="met")


@pytest.mark.parametrize(
    ("inputs", "label", "message"),
    [
        (["S9", "S7"], "met", r"missing columns \['S7'\]"),
        (["S9"], "done", r"missing columns \['done'\]"),
        ("S9", "met", "inputs: expected a list of names"),
        ([], "met", "inputs: expected a list of names"),
        (["S9", "met"], "met", "also among the inputs"),
        (["S9", "S9"], "met", "columns .* appear more than once"),
    ],
)
def test_bad_record_columns(inputs, label, message):
    table = pd.DataFrame({**HISTORY, "met": [True] * 4})
    with pytest.raises(InvalidInputError, match=message):
        TargetSamples.from_records(table, inputs=inputs, label=label)


# --- score --------------------------------------------------------------------------------------


def test_score_keeps_the_two_errors_apart():
    region = LinearRegion(inputs=("A",), weights=[1.0], offset=-5.0, lower=[0], upper=[10])
    labelled = TargetSamples(
        targets=pd.DataFrame({"B": [0.0] * 8, "A": [1, 2, 3, 6, 4, 7, 8, 9]}),
        labels=[-1, -1, -1, -1, 1, 1, 1, 0],
    )
    score = score_region(region, labelled)
    assert (score.n_feasible, score.n_infeasible, score.n_points) == (4, 3, 7)
    assert score.false_infeasible_rate == 1 / 4  # the feasible target at 6
    assert score.false_feasible_rate == 1 / 3  # the infeasible target at 4
    assert score.total_error == 2 / 7
    assert score.accuracy == pytest.approx(5 / 7)
    assert score.false_feasible_interval == wilson_interval(1, 3)
    assert score.false_infeasible_interval == wilson_interval(1, 4)
    assert score.total_error_interval == wilson_interval(2, 7)
    assert "false feasible      33.33 %  (1 of 3 targets" in str(score)


def test_score_without_a_class_is_unknown_not_zero():
    score = RegionScore(n_feasible=5, n_infeasible=0, n_false_feasible=0, n_false_infeasible=1)
    assert score.false_feasible_rate is None
    assert score.false_feasible_interval is None
    assert score.total_error == 0.2
    assert "unknown" in str(score)
    nothing = RegionScore(n_feasible=0, n_infeasible=0, n_false_feasible=0, n_false_infeasible=0)
    assert nothing.total_error is None
    assert nothing.accuracy is None


@pytest.mark.parametrize(("k", "n"), [(0, 10), (1, 10), (5, 10), (10, 10), (48, 1000), (0, 1)])
def test_wilson_interval_agrees_with_scipy(k, n):
    expected = binomtest(k, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(k, n) == pytest.approx((expected.low, expected.high), abs=1e-12)


# --- a history that writes successes in another way ---------------------------------------------


def test_a_history_of_nothing_but_ones_is_warned_about():
    met = pd.DataFrame({"A": [1, 2], "met": [1, 1]})
    with pytest.warns(UserWarning, match=r"met is 1 in every record.*say met=1"):
        found = TargetSamples.from_records(met, inputs=["A"], label="met")
    assert found.counts()["infeasible"] == 2  # the documented sign


@pytest.mark.parametrize(
    "write", [lambda table, path: table, lambda t, p: t.to_csv(p, index=False) or p]
)
@pytest.mark.parametrize(
    ("values", "met", "labels"),
    [
        ([1, 1], 1, [-1, -1]),
        ([1, 0], 1, [-1, 1]),
        ([0, 1], "0", [-1, 1]),
        (["made", "Missed"], "Made", [-1, 1]),
        ([1.0, 2.5], "1", [-1, 1]),
    ],
)
def test_a_history_says_met_as_it_likes(values, met, labels, write, tmp_path):
    table = pd.DataFrame({"A": [1, 2], "met": values})
    source = write(table, tmp_path / "history.csv")
    found = TargetSamples.from_records(source, inputs=["A"], label="met", met=met)
    assert found.labels.tolist() == labels


def test_zeros_are_refused_with_the_way_out_and_empty_ones_are_refused():
    zeros = pd.DataFrame({"A": [1, 2], "met": [1, 0]})
    with pytest.raises(InvalidInputError, match="met= names another word"):
        TargetSamples.from_records(zeros, inputs=["A"], label="met")
    gap = pd.DataFrame({"A": [1, 2], "met": [1, None]})
    with pytest.raises(InvalidInputError, match="row 1: met must be 1 or what is said"):
        TargetSamples.from_records(gap, inputs=["A"], label="met", met=1)
    for wrong in (True, float("nan"), "", []):
        with pytest.raises(InvalidInputError, match="met: expected text or a number"):
            TargetSamples.from_records(zeros, inputs=["A"], label="met", met=wrong)
