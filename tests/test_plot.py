"""Figures, judged by what is on the axes: bars, marks, lines, words."""

from __future__ import annotations

import dataclasses
import math
from itertools import combinations
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import PathCollection
from matplotlib.colors import to_hex
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle
from mpl_toolkits.mplot3d import Axes3D

from stnopt.errors import InvalidInputError
from stnopt.feasibility.certified_region import CertifiedRegion
from stnopt.feasibility.refinement import Limit
from stnopt.feasibility.region import KernelRegion, LinearRegion
from stnopt.feasibility.samples import TargetSamples
from stnopt.plant.network import Network
from stnopt.plant.read import load_example
from stnopt.plant.recipe import State, Suitability, Task
from stnopt.plant.source import list_examples
from stnopt.plot import (
    plot_frontier,
    plot_gantt,
    plot_network,
    plot_region,
    plot_samples,
    plot_stock,
)
from stnopt.scheduling.schedule import Batch, Schedule, compute_final_stock


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make_task(name, consumes, produces, units, hours=1.0):
    rows = {u: Suitability(task=name, unit=u, max_batch=50, fixed_time=hours) for u in units}
    return Task(name=name, consumes=consumes, produces=produces, units=rows)


@pytest.fixture
def network():
    """Feed A -> I and waste B; I and A -> P; B goes back to I. I has a tank of 10, B none."""
    states = {
        "A": State(name="A", initial=math.inf),
        "I": State(name="I", capacity=10),
        "B": State(name="B", capacity=0),
        "P": State(name="P", price=1),
    }
    tasks = {
        "Split": make_task("Split", {"A": 1}, {"I": 0.7, "B": 0.3}, ["U1"]),
        "Finish": make_task("Finish", {"I": 0.5, "A": 0.5}, {"P": 1}, ["U2"]),
        "Return": make_task("Return", {"B": 1}, {"I": 1}, ["U3"], hours=0.25),
    }
    return Network(name="small", states=states, tasks=tasks, amount_unit="kg", time_unit="h")


@pytest.fixture
def loop():
    """Raw -> Mid -> End, of which a part returns to Mid."""
    states = {
        "Raw": State(name="Raw", initial=math.inf),
        "Mid": State(name="Mid"),
        "End": State(name="End", price=1),
    }
    tasks = {
        "Start": make_task("Start", {"Raw": 1}, {"Mid": 1}, ["U1"]),
        "Distil": make_task("Distil", {"Mid": 1}, {"End": 0.9, "Mid": 0.1}, ["U2"]),
    }
    return Network(name="loop", states=states, tasks=tasks)


@pytest.fixture
def schedule(network):
    batches = (
        Batch("Split", "U1", 0, 1, 20),
        Batch("Finish", "U2", 2, 3, 8),
        Batch("Return", "U3", 2, 2.25, 6),
    )
    stock = compute_final_stock(batches, network)
    return Schedule(batches=batches, final_stock=stock, horizon=10)


@pytest.fixture
def samples():
    targets = pd.DataFrame({"P": [1.0, 2, 3, 8, 9, 5], "Q": [1.0, 3, 2, 9, 7, 5]})
    labels = np.array([-1, -1, -1, 1, 1, 0])
    return TargetSamples(targets=targets, labels=labels, scope={"amount_unit": "kg"})


@pytest.fixture
def line():
    """P + Q <= 10."""
    return LinearRegion(
        inputs=("P", "Q"), weights=np.ones(2), offset=-10.0, lower=np.zeros(2), upper=[10.0, 10.0]
    )


@pytest.fixture
def ball():
    """Feasible around (5, 5), in scaled coordinates around the origin."""
    return KernelRegion(
        inputs=("P", "Q"),
        kernel="rbf",
        support_vectors=np.array([[0.0, 0.0], [1.0, 0.0]]),
        dual_coefs=np.array([-1.0, 0.1]),
        offset=0.5,
        gamma=1.0,
        center=[5.0, 5.0],
        scale=[2.0, 4.0],
        lower=np.zeros(2),
        upper=[10.0, 10.0],
    )


def legend_words(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def words(ax):
    return [text.get_text() for text in ax.texts]


# --- Network ----------------------------------------------------------------------------------


def test_the_network_has_a_mark_per_state_and_task_and_an_arrow_per_arc(network):
    ax = plot_network(network)
    circles = [patch for patch in ax.patches if isinstance(patch, Circle)]
    boxes = [patch for patch in ax.patches if type(patch) is Rectangle]
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    assert (len(circles), len(boxes), len(arrows)) == (4, 3, 8)
    assert set(words(ax)) == {*network.states, *network.tasks, "0.7", "0.3", "0.5"}
    assert words(ax).count("0.5") == 2  # a fraction of 1 is not written
    assert legend_words(ax) == ["raw material", "intermediate", "product"]


def test_the_network_reads_from_left_to_right(network):
    ax = plot_network(network)
    x = {text.get_text(): text.get_position()[0] for text in ax.texts}
    x |= {t.get_text(): t.xy[0] for t in ax.texts if hasattr(t, "xy")}
    assert x["Split"] < x["B"] < x["Return"] < x["I"] < x["Finish"] < x["P"]


@pytest.mark.few_cases(5)
@pytest.mark.parametrize("name", list_examples())
def test_marks_of_the_network_do_not_overlap(name):
    ax = plot_network(load_example(name))
    ax.figure.draw_without_rendering()
    marks = [p for p in ax.patches if isinstance(p, Circle | Rectangle)]
    boxes = [mark.get_window_extent() for mark in marks]
    for number, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])


def test_words_of_the_network_fit_their_boxes(network, loop):
    for plant in (network, loop):
        ax = plot_network(plant)
        ax.figure.draw_without_rendering()
        boxes = [patch for patch in ax.patches if type(patch) is Rectangle]
        names = [text for text in ax.texts if text.get_text() in plant.tasks]
        for box, name in zip(boxes, names, strict=True):
            outer, inner = box.get_window_extent(), name.get_window_extent()
            assert outer.width >= inner.width
            assert outer.height >= inner.height


def test_a_recycle_runs_below_all_marks(loop):
    ax = plot_network(loop)
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    marks = [patch for patch in ax.patches if isinstance(patch, Circle | Rectangle)]
    lowest_mark = min(mark.get_extents().y0 for mark in marks)
    points = [ax.transData.transform(a.get_path().interpolated(20).vertices) for a in arrows]
    assert len(arrows) == 5
    assert sum(piece[:, 1].min() < lowest_mark for piece in points) == 1


def test_the_network_is_drawn_alike_every_time(network):
    first, second = (
        [(text.get_text(), text.get_position(), getattr(text, "xy", None)) for text in ax.texts]
        for ax in (plot_network(network), plot_network(network))
    )
    assert first == second


# --- Schedule ---------------------------------------------------------------------------------


def test_the_gantt_chart_has_a_bar_per_batch_in_the_row_of_its_unit(schedule, network):
    ax = plot_gantt(schedule, network=network)
    labels = [label.get_text() for label in ax.get_yticklabels()]
    assert labels == ["U1", "U2", "U3"]
    bars = [(p.get_x(), p.get_width(), round(p.get_y() + p.get_height() / 2)) for p in ax.patches]
    assert bars == [(0, 1, 0), (2, 1, 1), (2, 0.25, 2)]
    assert legend_words(ax) == ["Split", "Finish", "Return", "sizes in kg"]
    assert len({to_hex(patch.get_facecolor()) for patch in ax.patches}) == 3
    assert (ax.get_xlabel(), ax.get_xlim()) == ("Time [h]", (0, 10))


def test_a_size_is_written_only_where_the_bar_has_room(schedule, network):
    schedule = dataclasses.replace(schedule, horizon=20)
    assert words(plot_gantt(schedule, network=network)) == ["20", "8"]
    _, ax = plt.subplots(figsize=(12, 3))
    assert words(plot_gantt(schedule, network=network, ax=ax)) == ["20", "8", "6"]


def test_the_gantt_chart_does_without_a_network(schedule):
    ax = plot_gantt(schedule)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["U1", "U2", "U3"]
    assert ax.get_xlabel() == "Time"


def test_an_idle_unit_keeps_its_row_and_an_empty_schedule_its_axes(network):
    empty = Schedule(batches=(), final_stock={}, horizon=4)
    assert len(plot_gantt(empty, network=network).get_yticks()) == 3
    assert plot_gantt(empty).get_xlim() == (0, 4)


def test_twelve_tasks_look_different():
    batches = tuple(Batch(f"T{k}", f"U{k}", 0, 1, 1) for k in range(12))
    ax = plot_gantt(Schedule(batches=batches, final_stock={}, horizon=1))
    looks = {(to_hex(p.get_facecolor()), p.get_hatch()) for p in ax.patches}
    assert len(looks) == 12


def test_the_stock_has_a_lane_per_state_with_its_capacity(schedule, network):
    """Of I, 14 come at 1, more than the tank holds: they wait in U1. B waits as well."""
    ax = plot_stock(schedule, network=network)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["P", "B", "I"]
    assert legend_words(ax) == ["stored [kg]", "waiting in unit", "capacity", "at the end"]
    # Scales at the right, from the lowest lane: P 8 at most, B 6 and no tank, I 16 at most.
    assert words(ax) == ["8", "6\n(no tank)", "16"]
    dashed = [line for line in ax.lines if line.get_linestyle() == "--"]
    (level,) = {float(y) for line in dashed for y in line.get_ydata()}
    assert level == pytest.approx(2 + 0.8 * 10 / 16)  # I has the third lane


def test_the_stock_steps_where_material_moves(schedule, network):
    ax = plot_stock(schedule, network=network, states=["I"])
    (outline,) = (line for line in ax.lines if line.get_drawstyle() == "steps-post")
    levels = dict(zip(outline.get_xdata(), outline.get_ydata() / 0.8 * 16, strict=True))
    assert levels == pytest.approx({0: 0, 1: 14, 2: 10, 2.25: 16, 3: 16, 10: 16})


def test_the_stock_says_nothing_of_waiting_where_nothing_waits(network):
    batches = (Batch("Split", "U1", 0, 1, 10),)
    stock = compute_final_stock(batches, network)
    schedule = Schedule(batches=batches, final_stock=stock, horizon=2)
    ax = plot_stock(schedule, network=network, states=["I", "P"])
    assert legend_words(ax) == ["stored [kg]", "capacity", "at the end"]


def test_what_arrives_as_the_horizon_ends_is_marked(network):
    batches = (Batch("Split", "U1", 0, 1, 10),)
    stock = compute_final_stock(batches, network)
    schedule = Schedule(batches=batches, final_stock=stock, horizon=1)
    ax = plot_stock(schedule, network=network, states=["I", "P"])
    dots = [line.get_xydata().tolist() for line in ax.lines if line.get_marker() == "o"]
    assert dots == [[pytest.approx([1, 1 + 0.8 * 7 / 10])]]  # 7 of I in the upper lane


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (["A"], "'A' has unlimited supply; choose from I, B, P"),
        (["X"], "'X' is no state of the plant"),
        ([], "states: expected a list of names"),
    ],
)
def test_the_stock_of_what_has_none_is_refused(schedule, network, states, message):
    with pytest.raises(InvalidInputError, match=message):
        plot_stock(schedule, network=network, states=states)


# --- Targets ----------------------------------------------------------------------------------


def test_samples_differ_by_mark_and_colour(samples):
    ax = plot_samples(samples)
    looks = {
        line.get_label(): (line.get_marker(), len(line.get_xdata()), line.get_markeredgecolor())
        for line in ax.lines
    }
    assert looks == {
        "feasible": ("o", 3, "#0072B2"),
        "infeasible": ("x", 2, "#D55E00"),
        "undecided": ("s", 1, "#999999"),
    }
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("P [kg]", "Q [kg]")


def test_a_line_is_drawn_where_its_decision_is_zero(line):
    ax = plot_region(line)
    shaded, boundary = ax.collections
    x, y = boundary.get_paths()[0].vertices.T
    assert x + y == pytest.approx(np.full(len(x), 10))
    assert [path.contains_point((2, 2)) for path in shaded.get_paths()] == [True]
    assert [path.contains_point((9, 9)) for path in shaded.get_paths()] == [False]
    assert legend_words(ax) == ["learned boundary"]


def test_support_vectors_are_ringed_in_the_units_of_the_plant(ball):
    ax = plot_region(ball)
    (rings,) = (c for c in ax.collections if isinstance(c, PathCollection))
    assert rings.get_offsets().tolist() == [[5, 5], [7, 5]]
    assert "support vector" in legend_words(ax)


@pytest.mark.parametrize(("offset", "n_areas"), [(-100.0, 1), (100.0, 0)])
def test_a_region_without_boundary_in_the_window_is_all_or_nothing(offset, n_areas):
    region = LinearRegion(
        inputs=("P", "Q"), weights=np.ones(2), offset=offset, lower=np.zeros(2), upper=[1.0, 1.0]
    )
    assert len(plot_region(region).collections) == n_areas


def test_samples_and_frontier_join_the_region_on_the_same_axes(line, samples):
    turned = TargetSamples(
        targets=samples.targets[["Q", "P"]], labels=samples.labels, scope=samples.scope
    )
    ax = plot_region(line, samples=turned)
    frontier = SimpleNamespace(vertices=[[0, 9], [5, 5], [9, 0]], products=("P", "Q"))
    assert plot_frontier(frontier, ax=ax) is ax
    assert legend_words(ax) == [
        "learned boundary",
        "feasible",
        "infeasible",
        "undecided",
        "true frontier",
    ]
    feasible = next(piece for piece in ax.lines if piece.get_label() == "feasible")
    assert feasible.get_xdata().tolist() == [1, 2, 3]
    assert ax.lines[-1].get_xydata().tolist() == [[0, 9], [5, 5], [9, 0]]


def test_the_window_is_the_training_box_or_the_samples_or_what_is_asked(line, samples):
    def window(ax):
        return [*ax.get_xlim(), *ax.get_ylim()]

    unknown = LinearRegion(
        inputs=("P", "Q"),
        weights=np.ones(2),
        offset=-10.0,
        lower=[-math.inf] * 2,
        upper=[math.inf] * 2,
    )
    assert window(plot_region(line)) == pytest.approx([-0.2, 10.2, -0.2, 10.2])
    assert window(plot_region(unknown, samples=samples)) == pytest.approx([0.84, 9.16, 0.84, 9.16])
    asked = plot_region(line, bounds={"P": (0, 100)})
    assert window(asked) == pytest.approx([-2, 102, -0.2, 10.2])
    with pytest.raises(InvalidInputError, match=r"no window is known for 'P'.*bounds="):
        plot_region(unknown)


def test_units_known_to_what_was_drawn_first_stay(samples):
    ax = plot_samples(samples)
    plot_frontier(SimpleNamespace(vertices=[[0, 9], [9, 0]], products=("P", "Q")), ax=ax)
    assert ax.get_xlabel() == "P [kg]"


def test_other_numbers_of_products_are_refused(samples, line):
    three = TargetSamples(targets=samples.targets.assign(R=1.0), labels=samples.labels)
    with pytest.raises(InvalidInputError, match="exactly two products, got 3: P, Q, R"):
        plot_samples(three)
    one = LinearRegion(inputs=("P",), weights=[1.0], offset=0.0, lower=[0.0], upper=[1.0])
    with pytest.raises(InvalidInputError, match="plot_region draws exactly two products, got 1"):
        plot_region(one)
    with pytest.raises(InvalidInputError, match="the region is over 'P' and 'Q', the samples over"):
        plot_region(line, samples=three)
    with pytest.raises(InvalidInputError, match=r"shape \(k, 2\), got \(3,\)"):
        plot_frontier(SimpleNamespace(vertices=[1, 2, 3], products=("P", "Q")))


def certified(most, *, segments=(), pieces=(), limits=()):
    """Made by hand: no plant stands behind it."""
    p = len(most)
    zero, axes = (0.0,) * p, np.eye(p)
    return CertifiedRegion(
        products=tuple("PQRSTU"[:p]),
        segments=np.array(segments, dtype=float).reshape(-1, 2, 2),
        pieces=tuple(np.array(piece, dtype=float) for piece in pieces),
        limits=(
            *(Limit(lower=zero, weights=tuple(axes[j]), bound=float(most[j])) for j in range(p)),
            *limits,
        ),
        upper=np.array(most, dtype=float),
        gap=0.1,
        n_solves=3,
        points=pd.DataFrame(columns=list("PQRSTU"[:p]), dtype=float),
        schedules=(),
        scope={"amount_unit": "kg"},
    )


@pytest.fixture
def two():
    """Feasible up to 8 of Q and 10 of P; what has more than 4 of P and 6 of Q is open."""
    return certified(
        [10, 8],
        segments=[[[0, 8], [4, 8]], [[4, 6], [10, 6]], [[10, 6], [10, 0]]],
        limits=[Limit(lower=(7.0, 0.0), weights=(0.0, 1.0), bound=6.0)],
    )


def area_at(collection, *points):
    """Which points lie in the pieces of a filled area."""
    return [any(path.contains_point(point) for path in collection.get_paths()) for point in points]


def test_a_certified_region_of_two_products_shows_its_area_and_what_is_undecided(two):
    ax = plot_frontier(two)
    shaded, undecided = ax.collections
    assert area_at(shaded, (2, 7.9), (9.9, 5.9), (5, 7), (8, 7)) == [True, True, False, False]
    assert area_at(undecided, (2, 7.9), (9.9, 5.9), (5, 7), (8, 7)) == [False, False, True, False]
    assert legend_words(ax) == ["certified feasible", "undecided"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("P [kg]", "Q [kg]")
    assert undecided.get_hatch()
    assert undecided.get_linewidth()[0] > 0  # thin slivers show by their outline


def test_an_undecided_sliver_between_two_columns_of_pixels_is_drawn():
    most, width = 10.0, 1e-4
    region = certified(
        [most, most],
        segments=[[[0, most], [5, most]], [[5 + width, 2], [most, 2]], [[most, 2], [most, 0]]],
        limits=[Limit(lower=(5 + width, 0.0), weights=(0.0, 1.0), bound=2.0)],
    )
    undecided = plot_frontier(region).collections[1]
    assert area_at(undecided, (5 + width / 2, 6), (5 - width, 6), (5 + 2 * width, 6)) == [
        True,
        False,
        False,
    ]


def test_over_another_figure_only_the_boundary_of_a_certified_region_is_drawn(two, line):
    ax = plot_region(line)
    before = len(ax.collections)
    assert plot_frontier(two, ax=ax) is ax
    assert len(ax.collections) == before
    assert legend_words(ax) == ["learned boundary", "true frontier"]


def test_three_products_are_a_surface_coloured_by_what_is_undecided_beyond(monkeypatch):
    """Certified: P + Q + R <= 6. Out of reach: any above 6, and P + Q + R > 9."""
    region = certified(
        [6, 6, 6],
        pieces=[6 * np.eye(3)],
        limits=[Limit(lower=(0.0,) * 3, weights=(1.0,) * 3, bound=9.0)],
    )
    plain, drawn = Axes3D.plot_surface, []

    def plot_surface(self, *places, **looks):
        drawn.append(np.stack(places))
        return plain(self, *places, **looks)

    monkeypatch.setattr(Axes3D, "plot_surface", plot_surface)
    ax = plot_frontier(region)
    (corners,) = drawn
    assert np.abs(corners.sum(axis=0) - 6).max() < 1e-6
    assert corners.min() == pytest.approx(0, abs=1e-6)
    assert corners.max(axis=(1, 2)) == pytest.approx([6, 6, 6], abs=1e-6)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_zlabel()) == ("P [kg]", "Q [kg]", "R [kg]")
    (bar,) = (other for other in ax.figure.axes if other is not ax)
    assert bar.get_xlabel().startswith("undecided")
    # A ray to a sum of 9 at the box's side is open from two thirds of the way on: none is more so.
    assert 32 < bar.get_xlim()[1] <= 100 / 3


def test_a_surface_needs_room_for_three_axes():
    region = certified([6, 6, 6], pieces=[6 * np.eye(3)])
    _, flat = plt.subplots()
    with pytest.raises(InvalidInputError, match="projection='3d'"):
        plot_frontier(region, ax=flat)
    solid = plt.figure().add_subplot(projection="3d")
    assert plot_frontier(region, ax=solid) is solid


def test_four_products_are_slices_of_every_pair():
    """Certified: 4 of each at once; out of reach: more than 5 of P while any of the others is 1."""
    region = certified(
        [8, 8, 8, 8],
        pieces=[[[4, 4, 4, 4]], [[8, 1, 0, 0]]],
        limits=[Limit(lower=(0.0, 1.0, 1.0, 1.0), weights=(1.0, 0.0, 0.0, 0.0), bound=5.0)],
    )
    ax = plot_frontier(region)
    panels = {(panel.get_xlabel(), panel.get_ylabel()): panel for panel in ax.child_axes}
    names = [f"{name} [kg]" for name in "PQRS"]
    assert list(panels) == list(combinations(names, 2))
    shaded, undecided = panels["P [kg]", "Q [kg]"].collections
    # The others stand at 2: above 1 of Q no more than 5 of P can be.
    assert area_at(shaded, (3.9, 3.9), (4.5, 0.5), (3, 5)) == [True, False, False]
    assert area_at(undecided, (3.9, 3.9), (3, 5), (4.5, 2), (6, 2)) == [False, True, True, False]
    assert "P 2 kg" in ax.get_legend().get_title().get_text()
    assert legend_words(ax) == ["certified feasible", "undecided"]
    alone = plot_frontier(region, at=dict.fromkeys("RS", 0.0)).child_axes[0].collections[0]
    assert area_at(alone, (7.9, 0.9), (7.9, 1.1)) == [True, False]


@pytest.mark.parametrize("at", [{"X": 1.0}, {"P": 1.0}])
def test_amounts_for_slices_that_fit_nothing_are_refused(two, at):
    four = certified([8, 8, 8, 8], pieces=[[[4, 4, 4, 4]]])
    with pytest.raises(InvalidInputError, match="at="):
        plot_frontier(four if "X" in at else two, at=at)


@pytest.mark.parametrize("name", ["network", "gantt", "stock", "samples", "region", "frontier"])
def test_every_figure_is_drawn_on_the_axes_it_is_given(
    name, schedule, network, samples, line, tmp_path
):
    _, (ax, other) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
    draw = {
        "network": lambda: plot_network(network, ax=ax),
        "gantt": lambda: plot_gantt(schedule, network=network, ax=ax),
        "stock": lambda: plot_stock(schedule, network=network, ax=ax),
        "samples": lambda: plot_samples(samples, ax=ax),
        "region": lambda: plot_region(line, samples=samples, ax=ax),
        "frontier": lambda: plot_frontier(
            SimpleNamespace(vertices=[[0, 9], [9, 0]], products=("P", "Q")), ax=ax
        ),
    }
    assert draw[name]() is ax
    assert not other.has_data()
    assert len(plt.get_fignums()) == 1
    ax.figure.savefig(tmp_path / "figure.svg")


@pytest.mark.parametrize(
    "name",
    [
        "$x_{",
        *(pytest.param(n, marks=pytest.mark.long) for n in ("$", "US$ per $", "a$^$b", r"\$5")),
    ],
)
def test_a_dollar_in_a_name_is_no_formula(name, tmp_path):
    states = {
        f"A{name}": State(name=f"A{name}", initial=math.inf),
        name: State(name=name, price=1),
    }
    task = make_task(f"T{name}", {f"A{name}": 1}, {name: 1}, [f"U{name}"])
    plant = Network(
        name=name, states=states, tasks={task.name: task}, amount_unit="$", time_unit="$"
    )
    batches = (Batch(f"T{name}", f"U{name}", 0, 1, 20),)
    made = Schedule(batches=batches, final_stock=compute_final_stock(batches, plant), horizon=2)
    targets = pd.DataFrame({name: [1.0, 2], f"{name} 2": [1.0, 3]})
    known = TargetSamples(targets=targets, labels=np.array([-1, 1]), scope={"amount_unit": "$"})
    gantt = plot_gantt(made, network=plant)
    box = {"inputs": (name, f"{name} 2"), "lower": [0, 0], "upper": [3, 3]}
    line = LinearRegion(**box, weights=[1, 1], offset=-3, origin={"amount_unit": "$"})
    boundary = SimpleNamespace(products=(name, f"{name} 2"), vertices=[[0, 2], [2, 0]])
    drawn = [
        gantt,
        plot_stock(made, network=plant),
        plot_network(plant),
        plot_samples(known),
        plot_region(line, samples=known),
        plot_frontier(boundary),
    ]
    for number, ax in enumerate(drawn):
        ax.figure.savefig(tmp_path / f"{number}.svg", metadata={"Date": None})
    drawn = gantt.get_yticklabels()[0]
    text, is_formula = drawn._preprocess_math(drawn.get_text())
    assert (text, is_formula) == (f"U{name}", False)
