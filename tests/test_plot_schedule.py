"""The Gantt chart's and the stock chart's marks, for plants that are at work, judged by artists."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb

from stnopt.errors import InvalidInputError
from stnopt.page.charts import gantt_figure, stock_figure
from stnopt.plant import LastTask, Order, PlantState, RunningBatch, read_network
from stnopt.plant.orders import ServedOrder
from stnopt.plot import plot_gantt, plot_stock, plot_utility
from stnopt.scheduling.replay import find_violations
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def legend_words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


WORKING = {
    "name": "working",
    "amount_unit": "kg",
    "time_unit": "h",
    "states": {
        "A": {"initial": "unlimited"},
        "S": {"arrivals": [[1, 10], [4, 15]]},
        "P": {"price": 1},
    },
    "tasks": {
        "Make": {
            "consumes": {"A": 0.5, "S": 0.5},
            "produces": {"P": 1},
            "units": {
                "U": {"max_batch": 10, "fixed_time": 1},
                "V": {"max_batch": 10, "fixed_time": 2},
            },
        }
    },
    "units": {
        "U": {"clean_after": {"batches": 1, "duration": 0.5}, "unavailable": [[5, 6], [9, 12]]},
        "V": {"paused": [[3, 4]], "unattended": [[6, 7]]},
    },
}


@pytest.fixture
def at_work():
    """A plant and its schedule: a batch from before 0, a cleaning, a late and a missing order."""
    network = read_network(WORKING)
    batches = (Batch("Make", "U", 1, 2, 10), Batch("Make", "U", 2.5, 3.5, 8))
    start = PlantState(
        running=[RunningBatch(task="Make", unit="V", started=-1, size=6, remaining=1)],
        since_cleaning={"U": 0},
    )
    orders = (
        ServedOrder(Order("a", "P", 6, 3), ((1, 6),)),
        ServedOrder(Order("b", "P", 8, 2, late_cost=1), ((3.5, 8),)),
        ServedOrder(Order("c", "P", 50, -1, missing_cost=1)),
    )
    stock = compute_final_stock(batches, network, start=start, orders=orders)
    made = Schedule(batches=batches, final_stock=stock, horizon=10, start=start, orders=orders)
    assert find_violations(made, network) == []
    return network, made


def marks(ax, marker):
    """Return where markers of a kind stand, as (time, row)."""
    return sorted(
        (line.get_xdata()[0], round(float(line.get_ydata()[0])))
        for line in ax.lines
        if line.get_marker() == marker and len(line.get_xdata())
    )


def bars_of(ax, hatch, colour=None):
    return [
        (p.get_x(), p.get_width(), round(p.get_y() + p.get_height() / 2))
        for p in ax.patches
        if p.get_hatch() == hatch and (colour is None or to_hex(p.get_facecolor()) == colour)
    ]


def test_what_ran_before_time_0_begins_left_of_it(at_work):
    network, schedule = at_work
    ax = plot_gantt(schedule, network=network)
    assert ax.get_xlim() == (-1, 10)
    assert (-1, 2, 1) in bars_of(ax, "")
    longer = dataclasses.replace(schedule.start.running[0], started=-40.0)
    long_ago = dataclasses.replace(
        schedule, start=PlantState(running=[longer], since_cleaning={"U": 0})
    )
    assert plot_gantt(long_ago, network=network).get_xlim() == (-1.5, 10)


def test_periods_of_units_lie_behind_the_bars(at_work):
    network, schedule = at_work
    ax = plot_gantt(schedule, network=network)
    assert bars_of(ax, "xxxx", "#dcdcdc") == [(5, 1, 0), (9, 1, 0)]  # one ends with the horizon
    assert bars_of(ax, "\\\\\\\\") == [(6, 1, 1)]
    assert bars_of(ax, "....") == [(3, 1, 1)]
    assert {"unavailable", "unattended", "paused"} <= set(legend_words(ax))
    batch = next(p for p in ax.patches if p.get_width() == 2)
    period = next(p for p in ax.patches if p.get_hatch() == "....")
    assert period.get_zorder() < batch.get_zorder()


def test_a_cleaning_stands_before_the_batch_that_needs_it(at_work):
    network, schedule = at_work
    ax = plot_gantt(schedule, network=network)
    assert bars_of(ax, "||||") == [(2.0, 0.5, 0)]
    assert "cleaning" in legend_words(ax)


def test_changeovers_stand_right_before_the_batch_that_asks_for_them():
    make = {"consumes": {"A": 1}, "units": {"U": {"max_batch": 10, "fixed_time": 1}}}
    network = read_network(
        {
            "name": "changing",
            "states": {"A": {"initial": "unlimited"}, "P": {}, "Q": {}},
            "tasks": {
                "MakeP": make | {"produces": {"P": 1}},
                "MakeQ": make | {"produces": {"Q": 1}},
            },
            "units": {"U": {"changeovers": {"MakeP": {"MakeQ": 0.5}, "MakeQ": {"MakeP": 0.25}}}},
        }
    )
    start = PlantState(last={"U": LastTask(task="MakeQ", finished=-1.0)})
    times = (("MakeP", 1), ("MakeP", 2), ("MakeQ", 5), ("MakeP", 6.25))
    batches = tuple(Batch(task, "U", begin, begin + 1, 10) for task, begin in times)
    stock = compute_final_stock(batches, network, start=start)
    schedule = Schedule(batches=batches, final_stock=stock, horizon=10, start=start)
    assert find_violations(schedule, network) == []
    ax = plot_gantt(schedule, network=network)
    assert bars_of(ax, "////") == [(0.75, 0.25, 0), (4.5, 0.5, 0), (6.0, 0.25, 0)]
    assert "changeover" in legend_words(ax)
    (trace,) = [t for t in gantt_figure(schedule, network)["data"] if t["name"] == "changeover"]
    assert list(zip(trace["base"], trace["x"], strict=True)) == [
        (0.75, 0.25),
        (4.5, 0.5),
        (6.0, 0.25),
    ]


def test_orders_have_a_row_each_with_what_is_late(at_work):
    network, schedule = at_work
    ax = plot_gantt(schedule, network=network, now=2.25)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["U", "V", "c: P", "b: P", "a: P"]
    assert marks(ax, "v") == [(-1, 2), (2, 3), (3, 4)]  # due
    assert marks(ax, "o") == [(1, 4)]  # on time
    assert marks(ax, "D") == [(3.5, 3)]  # late
    assert marks(ax, "X") == [(10, 2)]  # missing
    words = legend_words(ax)
    assert words[-5:] == ["due", "delivered", "delivered late", "not delivered", "now"]
    assert [line.get_xdata()[0] for line in ax.lines if line.get_linewidth() > 1.3][-1] == 2.25


def test_many_orders_share_a_row_per_state(at_work):
    network, schedule = at_work
    many = tuple(ServedOrder(Order(f"o{k}", "P", 1, k % 5, missing_cost=1)) for k in range(13))
    ax = plot_gantt(dataclasses.replace(schedule, orders=many), network=network)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["U", "V", "orders: P"]


@pytest.mark.parametrize("draw", [plot_gantt, plot_stock])
def test_clock_times(at_work, draw):
    network, schedule = at_work
    ax = draw(schedule, network=network, start="2026-01-05T20:30")
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert "22:00" in labels
    assert "00:00\nTue 6" in labels
    assert ax.get_xlabel() == "Clock time, from Mon 5 Jan 2026"
    place = dict(zip(labels, ax.get_xticks(), strict=True))
    assert place["22:00"] == pytest.approx(1.5)
    dated = dataclasses.replace(schedule, date=datetime(2026, 1, 5, 20, 30))
    own = draw(dated, network=network)
    assert [label.get_text() for label in own.get_xticklabels()] == labels


def test_clock_times_over_a_week_are_days(at_work):
    network, schedule = at_work
    week = dataclasses.replace(schedule, horizon=168, batches=(), final_stock={})
    ax = plot_gantt(week, network=network, start="2026-01-05T06:00")
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels[:2] == ["Tue 6", "Wed 7"]
    assert ax.get_xticks()[0] == 18


def test_clock_times_need_a_time_unit(at_work):
    network, schedule = at_work
    for more in ({}, {"network": dataclasses.replace(network, time_unit="")}):
        with pytest.raises(InvalidInputError, match="time_unit"):
            plot_gantt(schedule, start="2026-01-05T20:30", **more)
    with pytest.raises(InvalidInputError, match="ISO"):
        plot_gantt(schedule, network=network, start="half past eight")


def test_arrivals_stand_at_the_foot_of_their_lane(at_work):
    network, schedule = at_work
    ax = plot_stock(schedule, network=network, states=["P", "S"])
    (line,) = (line for line in ax.lines if line.get_marker() == "^")
    assert list(line.get_xdata()) == [1, 4]
    assert set(line.get_ydata()) == {0.0}
    assert "arrival" in legend_words(ax)
    assert "arrival" not in legend_words(plot_stock(schedule, network=network, states=["P"]))


def grey(colour):
    """How light a colour is in grey print: 0 to 1 (luma, ITU-R BT.601)."""
    return np.dot(to_rgb(colour), [0.299, 0.587, 0.114])


def assert_all_differ(looks):
    """Of (grey, mark) pairs, no two of one mark are of nearly one grey."""
    for number, (one, mark) in enumerate(looks):
        for other, marked in looks[:number]:
            assert mark != marked or abs(one - other) > 0.1


def test_tasks_and_periods_differ_in_grey_print(at_work):
    """What lines a hatch has counts, not how dense they are: "--" is no other mark than "----"."""
    batches = tuple(Batch(f"T{k}", f"U{k}", 0, 1, 1) for k in range(32))
    ax = plot_gantt(Schedule(batches=batches, final_stock={}, horizon=1))
    assert_all_differ([(grey(p.get_facecolor()), frozenset(p.get_hatch())) for p in ax.patches])

    network, schedule = at_work
    legend = plot_gantt(schedule, network=network).get_legend().legend_handles
    patches = [mark for mark in legend if hasattr(mark, "get_hatch")]
    assert len(patches) == 5  # a task, unavailable, unattended, paused, cleaning
    assert_all_differ([(grey(p.get_facecolor()), frozenset(p.get_hatch() or "")) for p in patches])


def test_bars_and_lines_of_the_page_differ_in_grey_print():
    states = {f"S{k}": {"initial": 1} for k in range(16)}
    unit = {"U": {"max_batch": 1, "fixed_time": 1}}
    tasks = {
        f"T{k}": {"consumes": {f"S{k}": 1}, "produces": {"P": 1}, "units": unit} for k in range(16)
    }
    network = read_network({"name": "many", "states": states | {"P": {}}, "tasks": tasks})
    batches = tuple(Batch(f"T{k}", "U", k, k + 1, 1) for k in range(16))
    schedule = Schedule(batches=batches, final_stock={"P": 16}, horizon=16)
    bars = [trace["marker"] for trace in gantt_figure(schedule, network)["data"]]
    assert_all_differ([(grey(m["color"]), m["pattern"]["shape"]) for m in bars])
    lines = [trace["line"] for trace in stock_figure(schedule, network)["data"][:16]]
    assert_all_differ([(grey(m["color"]), (m["dash"], m["width"])) for m in lines])


def test_a_utility_s_lane_shows_what_is_drawn_and_its_capacity(at_work):
    network, schedule = at_work
    plant = network.to_dict()
    for task in plant["tasks"].values():
        for unit in task["units"].values():
            unit["draws"] = {"steam": 2}
    plant["utilities"] = {"steam": {"capacity": [[0, 5], [4, 3]]}}
    steamed = read_network(plant)
    ax = plot_utility(schedule, network=steamed)
    drawn, capacity = (line for line in ax.lines if len(line.get_xdata()) > 2)
    lane = dict(zip(drawn.get_xdata(), drawn.get_ydata(), strict=True))
    assert lane[0.0] == pytest.approx(0.8 * 2 / 5)  # the running batch alone
    assert lane[1.0] == pytest.approx(0.8 * 2 / 5)
    assert lane[4.0] == 0
    assert capacity.get_ydata()[0] == pytest.approx(0.8)
    assert capacity.get_ydata()[-1] == pytest.approx(0.8 * 3 / 5)
    assert legend_words(ax) == ["drawn", "capacity"]
    with pytest.raises(InvalidInputError, match="has no utilities"):
        plot_utility(schedule, network=network)
