"""What the page is made of, without a browser: sessions, processes, charts, the HTML file."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from stnopt import (
    Batch,
    InvalidInputError,
    Problem,
    Schedule,
    find_schedule,
    load_example,
    read_problem,
)
from stnopt.page.charts import gantt_figure, region_figure, stock_figure, utility_figure
from stnopt.page.html import schedule_to_html
from stnopt.page.session import MOST_BYTES, Session
from stnopt.page.solving import Job
from stnopt.plant.read import read_plant_file
from stnopt.plant.source import EXAMPLES

SHIFT = Path(__file__).parents[2] / "case_studies" / "shift" / "paint.yaml"


def wait(job):
    while job.poll() == "running":
        time.sleep(0.02)
    return job


def fail(kind):
    raise (InvalidInputError if kind == "ours" else ZeroDivisionError)("told")


def test_a_question_in_a_process_has_the_same_answer():
    plant = load_example("motivating_exact_beta")
    asked = {"horizon": 8, "n_events": 5, "max_span": 0}
    job = wait(Job(find_schedule, plant, **asked))
    here = find_schedule(plant, **asked)
    assert job.state == "done"
    assert job.answer.result.objective == here.result.objective
    assert job.answer.schedule == here.schedule


def test_a_question_tells_what_it_does():
    plant = load_example("motivating_exact_beta")
    job = wait(Job(find_schedule, plant, horizon=8, n_events=5, max_span=0, tells=True))
    assert job.state == "done"
    assert job.progress.what
    assert job.progress.bound is None or job.progress.bound >= job.answer.result.objective - 1e-6


@pytest.mark.parametrize(
    ("kind", "told"),
    [("ours", "told"), pytest.param("other", "ZeroDivisionError: told", marks=pytest.mark.long)],
)
def test_a_question_that_fails_says_why(kind, told):
    job = wait(Job(fail, kind))
    assert (job.state, job.error) == ("failed", told)


def test_a_question_can_be_stopped():
    job = Job(time.sleep, 600)
    job.stop()
    assert wait(job).state in ("stopped", "failed")
    assert job.seconds < 300


def test_a_search_that_is_stopped_hands_over_what_it_has():
    job = Job(find_schedule, load_example("fine_chemicals"), horizon=100, tells=True)
    while job.poll() == "running" and job.progress is None:
        time.sleep(0.02)
    job.stop()
    # On a busy machine it may be ended before it has handed anything over.
    assert wait(job).state in ("done", "stopped")
    assert job.state == "stopped" or job.answer.stopped == "interrupted"


@pytest.mark.long
def test_a_process_that_dies_is_a_failure_that_is_said():
    job = Job(time.sleep, 600)
    job.close()
    assert wait(job).state == "failed"
    assert "without an answer" in job.error


def test_an_upload_is_checked_as_a_file_is():
    content = SHIFT.read_bytes()
    session = Session.of_upload("mine.yaml", content)
    network, problem, state = read_plant_file(SHIFT)
    assert (session.network, session.problem, session.state) == (network, problem, state)
    for name, bad, told in [
        ("mine.exe", content, "ends in"),
        ("mine.yaml", b"plant: [", "not YAML"),
        ("mine.yaml", content.replace(b"fixed_time: 1.5", b"fixed_time: -1"), "mine.yaml"),
        ("mine.xlsx", content, "no workbook"),
        ("mine.yaml", b" " * (MOST_BYTES + 1), "5 MB"),
        ("../../etc/passwd.yaml", b"\xff\xfe", "UTF-8"),
    ]:
        with pytest.raises(InvalidInputError, match=told):
            Session.of_upload(name, bad)


def test_orders_come_from_the_table():
    session = Session.of_plant(str(SHIFT))
    rows = [
        {"id": "a", "state": "White", "amount": "10,5", "due": 3, "priority": "", "partial": None},
        dict.fromkeys(["id", "state", "amount", "due"]),
        {"id": 7, "state": "Blue", "amount": 1, "due": "2.5", "priority": 2, "partial": True},
    ]
    first, second = session.with_orders(rows).orders
    assert (first.amount, first.due, first.priority, first.partial) == (10.5, 3, 1, False)
    assert (second.id, second.due, second.priority, second.partial) == ("7", 2.5, 2, True)
    rows[0]["state"], rows[2]["amount"] = "Green", "much"
    with pytest.raises(InvalidInputError) as error:
        session.with_orders(rows)
    assert "no state 'Green'" in str(error.value)
    assert "'7': amount must be a number, got 'much'" in str(error.value)


def test_the_saved_plant_is_the_one_that_was_opened(tmp_path):
    session = Session.of_plant(str(SHIFT))
    (tmp_path / "saved.yaml").write_text(session.written(), encoding="utf-8")
    assert read_plant_file(tmp_path / "saved.yaml") == read_plant_file(SHIFT)


def test_two_sessions_share_nothing():
    one, other = Session.of_plant("ex2"), Session.of_plant("ex2")
    one.scenarios.append("mine")
    assert other.scenarios == []


@pytest.fixture(scope="module")
def shift():
    network, problem, state = read_plant_file(SHIFT)
    points = {"n_events": 8, "max_span": 1}  # any schedule does: the full search takes 35 CPU s
    return network, find_schedule(network, problem, start=state, **points).schedule


def bars(figure, name):
    (trace,) = [trace for trace in figure["data"] if trace["name"] == name]
    return trace


def test_every_batch_has_its_bar(shift):
    network, schedule = shift
    figure = gantt_figure(schedule, network)
    json.dumps(figure)  # a browser gets it as JSON
    numbers = [n for t in figure["data"] if t["type"] == "bar" for n in t.get("customdata", [])]
    assert sorted(numbers) == [-1, *range(len(schedule.batches))]
    for trace in figure["data"]:
        for number, unit, begin, length in zip(
            trace.get("customdata", []), trace["y"], trace.get("base", []), trace["x"], strict=False
        ):
            if trace["type"] != "bar" or number < 0:
                continue
            batch = schedule.batches[number]
            assert (trace["name"], unit) == (batch.task, batch.unit)
            # 06:00 is time 0, lengths are in milliseconds.
            hours = int(begin[11:13]) + int(begin[14:16]) / 60 + int(begin[17:19]) / 3600 - 6
            assert hours == pytest.approx(batch.start, abs=1e-3)
            assert length / 3.6e6 == pytest.approx(batch.finish - batch.start, abs=1e-6)


def test_maintenance_orders_and_now_are_marked(shift):
    network, schedule = shift
    figure = gantt_figure(schedule, network)
    assert bars(figure, "unavailable")["y"] == ["Reactor"]
    assert len(bars(figure, "due")["x"]) == len(schedule.orders)
    late = bars(figure, "late or missing")
    assert any("B2" in text and "missing" in text for text in late["hovertext"])
    assert figure["layout"]["annotations"][0]["text"] == "now"


def test_levels_are_those_of_the_replay():
    network = load_example("ex2")
    batches = (Batch("Heating", "HR", 0, 1.5, 50.0),)
    schedule = Schedule(batches=batches, final_stock={}, horizon=8)
    figure = stock_figure(schedule, network)
    heated = bars(figure, "S4")
    assert max(heated["y"]) == 50
    assert bars(figure, "S4: limit")["y"] == [100, 100]


def test_draws_add_up_while_batches_run():
    plant = load_example("motivating_exact_beta").to_dict()
    task = next(iter(plant["tasks"].values()))
    unit = next(iter(task["units"]))
    task["units"][unit]["draws"] = {"steam": 2}
    plant["utilities"] = {"steam": {"capacity": [[0, 5], [4, 3]]}}
    from stnopt import read_network

    network = read_network(plant)
    name = next(iter(network.tasks))
    batches = (Batch(name, unit, 0, 1, 10.0), Batch(name, unit, 0.5, 2, 10.0))
    schedule = Schedule(batches=batches, final_stock={}, horizon=8)
    figure = utility_figure(schedule, network)
    drawn = bars(figure, "steam")
    assert list(zip(drawn["x"], drawn["y"], strict=True)) == [
        (0, 2),
        (0.5, 4),
        (1, 2),
        (2, 0),
        (4, 0),  # the capacity's step
        (8, 0),
    ]
    assert bars(figure, "steam: capacity")["y"] == [5, 5, 5, 5, 3, 3]


def test_a_region_is_drawn_as_it_labels():
    from stnopt import trace_frontier

    plant = load_example("motivating_exact_beta")
    products = ["S4", "S3"] if "S3" in plant.states else list(plant.states)[-2:]
    region = trace_frontier(plant, horizon=8, products=products, n_events=4, max_span=0)
    figure = region_figure(region, "kg")
    cells = figure["data"][0]
    made, _, not_made = (int(colour[3:5], 16) for _, colour in cells["colorscale"])
    assert made - not_made > 0.1 * 255  # by green, most of what grey print shows of a colour
    for row, second in list(enumerate(cells["y"]))[::20]:
        for column, first in list(enumerate(cells["x"]))[::20]:
            assert cells["z"][row][column] == region.label([[first, second]])[0]


def test_the_html_file_needs_nothing_else(shift):
    network, schedule = shift
    text = schedule_to_html(schedule, network)
    assert schedule.to_html(network=network) == text
    outside = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
    assert not re.search(r"(src|href)=", outside)
    assert text.count("Plotly.newPlot") >= 2
    assert outside.count("<tr>") == len(schedule.batches) + 1


def test_every_example_can_be_opened():
    for path in EXAMPLES.glob("*.yaml"):
        session = Session.of_plant(path.stem)
        assert session.problem.horizon == 8
        assert Session.of_upload(path.name, path.read_bytes()).network == session.network


def test_a_problem_of_a_file_is_taken():
    assert Session.of_plant(str(SHIFT)).problem == read_problem(SHIFT, default=Problem())


def test_a_drawing_keeps_its_words():
    from stnopt import plot_network
    from stnopt.plot.style import draw_svg

    drawing = draw_svg(plot_network, load_example("ex2"))
    assert drawing.startswith("<svg")
    assert 'width="100%"' in drawing
    for name in ("S8", "Heating"):
        assert name in drawing


@pytest.mark.parametrize(
    ("host", "told"), [((), "on this machine only"), (("--host", "0.0.0.0"), "whoever reaches it")]
)
def test_the_page_is_this_machine_s_unless_told_otherwise(host, told, monkeypatch, capsys):
    from stnopt.cli import main
    from stnopt.page import app

    served = {}
    monkeypatch.setattr(app, "run", lambda plant, **how: served.update(how, plant=plant))
    assert main(["page", "ex2", "--no-browser", *host]) == 0
    assert served["host"] == (host[1] if host else "127.0.0.1")
    assert told in capsys.readouterr().err
