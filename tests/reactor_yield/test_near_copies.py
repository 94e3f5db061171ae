"""Rows that are near copies: told where they are, and not where rows are independent."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from reactor_yield import fit_yield_model
from reactor_yield.cli import main
from reactor_yield.yield_model.near_copies import share_of_near_copies


def share(values, n_flags=0):
    continuous = np.array([True] * (values.shape[1] - n_flags) + [False] * n_flags)
    return share_of_near_copies(values, continuous)


def holds(rng, n_records, noise, n_holds=120):
    points = rng.normal(size=(n_holds, 6)).repeat(n_records, axis=0)
    return points + noise * rng.normal(size=points.shape)


def slow_series(rng, keep, n_rows=1_000):
    rows = rng.normal(size=(n_rows, 6))
    for i in range(1, n_rows):
        rows[i] = keep * rows[i - 1] + np.sqrt(1 - keep**2) * rows[i]
    return rows


INDEPENDENT = {
    "normal, one dimension": lambda rng: rng.normal(size=(60, 1)),
    "normal, two dimensions": lambda rng: rng.normal(size=(100, 2)),
    "normal, twelve dimensions": lambda rng: rng.normal(size=(300, 12)),
    "log-normal": lambda rng: np.exp(1.5 * rng.normal(size=(1_000, 3))),
    "Cauchy": lambda rng: rng.standard_cauchy((1_000, 3)),
    "rounded, one dimension": lambda rng: rng.normal(78, 2.5, (1_000, 1)).round(1),
    "rounded, four dimensions": lambda rng: rng.normal(0, 3, (1_000, 4)).round(),
    "sorted by one column": lambda rng: (
        np.sort(rng.normal(size=(1_000, 3)), axis=0)[:, :1]
        + np.column_stack([np.zeros(1_000), 100 * rng.normal(size=(1_000, 2))])
    ),
    "three modes": lambda rng: (
        rng.choice([0, 20, 50], 1_000)[:, None] + rng.normal(size=(1_000, 4))
    ),
    "six columns of two": lambda rng: rng.normal(size=(1_000, 2)) @ rng.normal(size=(2, 6)),
    "a grid in order": lambda rng: (
        np.indices((30, 30)).reshape(2, -1).T + 0.1 * rng.normal(size=(900, 2))
    ),
    "five levels, eight times each": lambda rng: rng.permutation(
        np.indices((5, 5, 5)).reshape(3, -1).T.repeat(8, axis=0).astype(float)
    ),
    "an age that counts": lambda rng: np.column_stack(
        [np.arange(1_000) % 250, rng.normal(size=(1_000, 3))]
    ),
    "flags": lambda rng: np.column_stack(
        [rng.normal(size=(500, 3)), rng.choice(60, 500)[:, None] == np.arange(60)]
    ).astype(float),
}


@pytest.mark.parametrize("name", INDEPENDENT)
def test_independent_rows_raise_no_false_alarm(name):
    n_flags = 60 if name == "flags" else 0
    found = [share(INDEPENDENT[name](np.random.default_rng(k)), n_flags) for k in range(30)]
    assert found == [0.0] * 30


@pytest.mark.parametrize("n_records", [3, 10, 30])
@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_records_of_steady_holds_are_told_in_any_order(n_records, noise):
    rng = np.random.default_rng(n_records)
    rows = holds(rng, n_records, noise)
    assert share(rows) > 0.5
    assert share(rng.permutation(rows)) > 0.5


def test_a_slow_series_is_told_and_a_quick_one_is_not():
    rng = np.random.default_rng(0)
    assert share(slow_series(rng, 0.99)) > 0.5
    assert share(slow_series(rng, 0.95)) > 0.5
    assert share(slow_series(rng, 0.5)) == 0


def test_too_few_rows_say_nothing():
    assert share(np.zeros((59, 2))) == 0
    assert share(np.ones((100, 2))) == 0  # constant columns


def test_interface_and_command_warn_and_say_what_to_do(tmp_path, capsys):
    rng = np.random.default_rng(1)
    rows = pd.DataFrame(holds(rng, 10, 0.02, n_holds=80), columns=list("abcdef"))
    rows["y"] = rows.sum(axis=1)
    rows["hold"] = np.repeat(np.arange(80), 10)
    options = {"model": "ridge", "features": list("abcdef"), "target": "y"}
    with pytest.warns(UserWarning, match=r"near copies of others.*groups="):
        blind = fit_yield_model(rows, **options)
    assert blind.report.near_copies > 0.9
    # Warnings are errors in these tests: none comes where it is said what belongs together.
    assert not fit_yield_model(rows, groups="hold", **options).report.warning
    path = tmp_path / "rows.csv"
    rows.to_csv(path, index=False)
    words = ["train", str(path), str(tmp_path / "m.zip"), "--features", "a,b,c,d,e,f"]
    words += ["--target", "y", "--model", "ridge", "--report", str(tmp_path / "report.json")]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "warning:" in said.out
    assert "--group" in said.out
    assert json.loads((tmp_path / "report.json").read_text())["fit"]["near_copies"] > 0.9
    assert main([*words, "--group", "hold"]) == 0
    assert "warning:" not in capsys.readouterr().out
