"""What a notebook shows of plants, schedules, regions and plans, and their one-line names."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import stnopt as so


@pytest.fixture(scope="module")
def shown():
    plant = so.load_example("storage_trap")
    search = so.find_schedule(plant, horizon=8, n_events=4, max_span=0)
    region = so.trace_frontier(
        so.load_example("motivating_exact_beta"), horizon=8, products=["S4", "S3"], n_events=4,
        max_span=0,
    )  # fmt: skip
    points = np.random.default_rng(0).uniform(0, 10, (40, 2))
    targets = pd.DataFrame(points, columns=["A<b>", "B"])
    samples = so.TargetSamples(targets=targets, labels=np.where(points.sum(axis=1) < 10, -1, 1))
    line, curve = so.fit_region(samples), so.fit_region(samples, kernel="rbf")
    plan = so.Plan(production={("main", "1", "A"): 3.0}, lost={("shop", "1", "A"): 1.0})
    found = so.PlanSearch(
        plan=plan, verification=None, cost=2.0, bound=1.0, event_bound=None, rounds=1,
        first_failed=None, n_scheduled=0, stopped="time limit",
    )  # fmt: skip
    return {
        "network": plant,
        "schedule": search.schedule,
        "search": search,
        "certified": region,
        "samples": samples,
        "line": line.region,
        "kernel": curve.region,
        "fit": curve,
        "union": so.UnionRegion(alternatives=((line.region,), (curve.region,))),
        "plan": plan,
        "plan search": found,
    }


def test_each_says_in_one_line_what_it_is(shown):
    for name, each in shown.items():
        line = repr(each)
        assert line.startswith(type(each).__name__ + "("), name
        assert "\n" not in line, name
        assert len(line) < 200, name
    assert repr(shown["search"]).endswith(f"stopped: {shown['search'].stopped})")
    assert "cost 2, bound 1, gap 0.5" in repr(shown["plan search"])


def test_each_shows_well_formed_html_that_starts_with_that_line(shown):
    for name, each in shown.items():
        text = each._repr_html_()
        whole = re.sub(r"<\?xml.*?\?>|<!DOCTYPE.*?>", "", text, flags=re.DOTALL)
        tree = ElementTree.fromstring(f"<div>{whole}</div>")
        first = tree.find("p/code")
        assert first is not None, name
        if name != "fit":
            assert first.text == repr(each), name
        assert "<b>" not in text, name  # a product's name is text, not markup


def test_charts_are_drawn_and_the_reader_s_own_figure_stays(shown):
    plt.close("all")  # other tests may have left some
    own = plt.figure()
    for name in ("network", "schedule", "search", "certified", "line", "kernel", "union", "fit"):
        assert "<svg" in shown[name]._repr_html_(), name
    assert plt.get_fignums() == [own.number]
    plt.close(own)


def test_a_schedule_s_table_has_its_batches(shown):
    schedule = shown["schedule"]
    text = schedule._repr_html_()
    assert text.count("<tr") == len(schedule.batches) + 1


def test_a_long_table_says_how_many_rows_it_has():
    batches = tuple(so.Batch("T", "U", float(n), n + 1.0, 1.0) for n in range(30))
    text = so.Schedule(batches=batches, final_stock={}, horizon=30)._repr_html_()
    assert "30 rows" in text


def test_nothing_found_is_shown_too(shown):
    plan_search = shown["plan search"]
    import dataclasses

    empty = dataclasses.replace(plan_search, plan=None, cost=None)
    assert "not verified" in empty._repr_html_()
    nothing = dataclasses.replace(shown["search"], schedule=None)
    assert "no schedule" in nothing._repr_html_()
    assert "0 batches" in so.Schedule(batches=(), final_stock={}, horizon=1)._repr_html_()
