"""A store survives what happens to long runs, and no question is solved twice."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pytest

import stnopt
from stnopt.feasibility.oracle import TargetOracle
from stnopt.feasibility.scope import ask_about
from stnopt.feasibility.store import LabelStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SETTINGS = {"horizon": 8, "n_events": 4, "max_span": 0}
RUN = """
import sys, stnopt
targets = stnopt.sample_targets({"S9": (0, 110), "S8": (0, 110)}, 120, seed=2, method="uniform")
stnopt.label_targets(stnopt.load_example("ex2"), targets, horizon=8, n_events=4, max_span=0,
                     n_jobs=int(sys.argv[2]), store=sys.argv[1])
"""


@pytest.fixture(scope="module")
def network() -> stnopt.Network:
    return stnopt.load_example("ex2")


@pytest.fixture(scope="module")
def targets():
    return stnopt.sample_targets({"S9": (0, 110), "S8": (0, 110)}, 120, seed=2, method="uniform")


@pytest.fixture(scope="module")
def undisturbed(network, targets) -> stnopt.TargetSamples:
    return stnopt.label_targets(network, targets, **SETTINGS)


@pytest.fixture(scope="module")
def few(targets):
    """As many as a run needs that nobody has to be quick enough to kill."""
    return targets[:30]


@pytest.fixture(scope="module")
def few_undisturbed(network, few) -> stnopt.TargetSamples:
    return stnopt.label_targets(network, few, **SETTINGS)


@pytest.fixture(scope="module")
def store_of_ten(network, few, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("store") / "labels.jsonl"
    stnopt.label_targets(network, few[:10], **SETTINGS, store=path)
    return path.read_bytes()


def records(path: Path, key: str) -> list[dict]:
    entries = [json.loads(line) for line in path.read_bytes().split(b"\n")[1:] if line]
    return [entry for entry in entries if key in entry]


def asked(path: Path) -> list[tuple[float, ...]]:
    return [tuple(entry["asked"]) for entry in records(path, "asked")]


@pytest.mark.parametrize("n_jobs", [1, 2])
@pytest.mark.long
def test_a_killed_run_loses_nothing_and_solves_nothing_twice(
    network, targets, undisturbed, tmp_path, n_jobs
):
    path = tmp_path / "labels.jsonl"
    run = subprocess.Popen([sys.executable, "-c", RUN, str(path), str(n_jobs)])
    while run.poll() is None and not (path.exists() and b"asked" in path.read_bytes()):
        time.sleep(0.05)
    run.kill()
    run.wait()
    before = asked(path)
    assert before
    again = stnopt.label_targets(network, targets, **SETTINGS, store=path)
    assert again.labels.tolist() == undisturbed.labels.tolist()
    assert asked(path)[: len(before)] == before
    assert len(asked(path)) == len(set(asked(path))) == undisturbed.scope["n_solves"]
    third = stnopt.label_targets(network, targets, **SETTINGS, store=path)
    assert third.scope["n_solves"] == 0


@pytest.mark.parametrize("cut", [1, 7, 40])
def test_a_truncated_last_record_is_dropped(
    network, few, few_undisturbed, store_of_ten, tmp_path, cut
):
    path = tmp_path / "labels.jsonl"
    path.write_bytes(store_of_ten[:-cut])
    again = stnopt.label_targets(network, few, **SETTINGS, store=path)
    assert again.labels.tolist() == few_undisturbed.labels.tolist()
    assert path.read_bytes().endswith(b"}\n")


def test_a_store_cut_off_in_its_first_line_starts_anew(
    network, few, few_undisturbed, store_of_ten, tmp_path
):
    path = tmp_path / "labels.jsonl"
    path.write_bytes(store_of_ten[:25])
    again = stnopt.label_targets(network, few, **SETTINGS, store=path)
    assert again.labels.tolist() == few_undisturbed.labels.tolist()
    assert records(path, "asked")


@contextmanager
def largest_file(n_bytes: int) -> Iterator[None]:
    """Let writes beyond a size fail, as on a full disk."""
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.long
def test_a_full_disk_costs_no_label_and_leaves_whole_records(
    network, targets, undisturbed, tmp_path
):
    path = tmp_path / "labels.jsonl"
    with largest_file(6000), pytest.warns(UserWarning, match="cannot be written"):
        full = stnopt.label_targets(network, targets, **SETTINGS, store=path)
    assert full.labels.tolist() == undisturbed.labels.tolist()
    assert path.stat().st_size <= 6000
    assert path.read_bytes().endswith(b"}\n")
    kept = asked(path)
    again = stnopt.label_targets(network, targets, **SETTINGS, store=path)
    assert again.labels.tolist() == undisturbed.labels.tolist()
    assert asked(path)[: len(kept)] == kept
    assert len(set(asked(path))) == len(asked(path))


def test_records_that_did_not_fit_are_written_when_there_is_room(tmp_path):
    path = tmp_path / "labels.jsonl"
    with LabelStore(path, {"plant": "p"}) as store:
        with largest_file(200), pytest.warns(UserWarning, match="cannot be written"):
            store.add_labels(np.arange(40.0).reshape(20, 2), 1)
        store.add_labels(np.array([[50.0, 60.0]]), -1)
    assert len(records(path, "label")) == 21
    assert LabelStore(path, {"plant": "p"}).labels[50.0, 60.0] == -1


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"horizon": 9}, "horizon"),
        ({"n_events": 5}, "n_events"),
        ({"sense": "exactly"}, "sense"),
        ({"solve_limit": 7}, "solve_limit"),
        ({"require": "profit >= 1"}, "require"),
    ],
)
def test_a_store_of_other_options_is_refused(network, targets, tmp_path, change, named):
    path = tmp_path / "labels.jsonl"
    stnopt.label_targets(network, targets[:1], **SETTINGS, store=path)
    content = path.read_bytes()
    with pytest.raises(stnopt.InvalidInputError, match=rf"another plant.*{named}"):
        stnopt.label_targets(network, targets[:1], **{**SETTINGS, **change}, store=path)
    assert path.read_bytes() == content


def test_a_store_of_another_plant_or_another_file_is_refused(network, targets, tmp_path):
    path = tmp_path / "labels.jsonl"
    stnopt.label_targets(network, targets[:1], **SETTINGS, store=path)
    other = stnopt.load_example("ex2_exact_thirds")
    with pytest.raises(stnopt.InvalidInputError, match="another plant"):
        stnopt.label_targets(other, targets[:1], **SETTINGS, store=path)
    path.write_text("S9,S8,label\n1,2,-1\n")
    with pytest.raises(stnopt.InvalidInputError, match="not a file of labels"):
        stnopt.label_targets(network, targets[:1], **SETTINGS, store=path)


def test_a_damaged_record_inside_is_named(network, targets, tmp_path):
    path = tmp_path / "labels.jsonl"
    stnopt.label_targets(network, targets[:4], **SETTINGS, store=path)
    lines = path.read_bytes().split(b"\n")
    lines[2] = b'{"label": '
    path.write_bytes(b"\n".join(lines))
    with pytest.raises(stnopt.InvalidInputError, match="line 3: unreadable record"):
        stnopt.label_targets(network, targets[:4], **SETTINGS, store=path)


@pytest.mark.long
def test_undecided_targets_are_counted_kept_and_the_same_for_any_number_of_workers(
    network, targets, undisturbed, tmp_path
):
    runs = []
    for n_jobs in (1, 2):
        with pytest.warns(UserWarning, match=r"\d+ of 120 targets are undecided"):
            runs.append(
                stnopt.label_targets(
                    network,
                    targets,
                    **SETTINGS,
                    solve_limit=1,
                    n_jobs=n_jobs,
                    store=tmp_path / f"{n_jobs}.jsonl",
                )
            )
    one, two = runs
    assert one.counts()["undecided"] > 0
    assert one.labels.tolist() == two.labels.tolist()
    decided = one.labels != 0
    assert one.labels[decided].tolist() == undisturbed.labels[decided].tolist()
    with pytest.warns(UserWarning, match="undecided"):
        again = stnopt.label_targets(
            network, targets, **SETTINGS, solve_limit=1, store=tmp_path / "2.jsonl"
        )
    assert again.scope["n_solves"] == 0
    assert again.labels.tolist() == one.labels.tolist()


@pytest.mark.long
def test_a_higher_limit_asks_what_a_lower_one_left_undecided_and_nothing_else(
    network, targets, undisturbed, tmp_path
):
    path = tmp_path / "labels.jsonl"
    with pytest.warns(UserWarning, match="undecided"):
        low = stnopt.label_targets(network, targets, **SETTINGS, solve_limit=1, store=path)
    before = records(path, "asked")
    left_open = {tuple(e["asked"]) for e in before if not (e["missed_by"] or e["reaches"])}
    # A later answer may settle what a question left open; nothing is undecided unasked.
    undecided = {tuple(target) for target in targets.to_numpy()[low.labels == 0].tolist()}
    assert undecided
    assert undecided <= left_open

    high = stnopt.label_targets(network, targets, **SETTINGS, store=path)
    assert high.labels.tolist() == undisturbed.labels.tolist()
    after = asked(path)[len(before) :]
    assert len(after) == len(set(after)) == high.scope["n_solves"]
    twice = set(after) & {tuple(e["asked"]) for e in before}
    assert twice <= left_open

    # Killed while its second question was written, and run again.
    lines = path.read_bytes().split(b"\n")
    raised = next(k for k, line in enumerate(lines) if b'"limits"' in line)
    second = [k for k, line in enumerate(lines) if k > raised and b'"asked"' in line][1]
    path.write_bytes(b"\n".join([*lines[:second], lines[second][:30]]))
    again = stnopt.label_targets(network, targets, **SETTINGS, store=path)
    assert again.labels.tolist() == undisturbed.labels.tolist()
    assert len(asked(path)[len(before) :]) == len(set(asked(path)[len(before) :]))
    assert stnopt.label_targets(network, targets, **SETTINGS, store=path).scope["n_solves"] == 0

    content = path.read_bytes()
    with pytest.raises(stnopt.InvalidInputError, match=r"solve_limit.*raised, not lowered"):
        stnopt.label_targets(network, targets, **SETTINGS, solve_limit=1, store=path)
    with pytest.raises(stnopt.InvalidInputError, match=r"another plant.*horizon"):
        stnopt.label_targets(network, targets, **{**SETTINGS, "horizon": 9}, store=path)
    assert path.read_bytes() == content


def test_a_header_that_somebody_edited_is_refused(network, targets, tmp_path):
    path = tmp_path / "labels.jsonl"
    stnopt.label_targets(network, targets[:1], **SETTINGS, store=path)
    path.write_bytes(path.read_bytes().replace(b'"solve_limit": null', b'"solve_limit": 5', 1))
    with pytest.raises(stnopt.InvalidInputError, match="its hash differs"):
        stnopt.label_targets(network, targets[:1], **SETTINGS, store=path)


def test_a_question_does_not_depend_on_earlier_ones():
    plant = stnopt.load_example("ex1")
    question = ask_about(plant, horizon=12, problem=None, start=None)
    fresh, used = (TargetOracle(question, ("S4",), n_events=5) for _ in range(2))
    for amount in (150.0, 200.0, 230.0):
        used.start_from(())
        used.ask(np.array([amount]), solve_limit=3)
    used.start_from(())
    target = np.array([190.0])
    first, second = (oracle.ask(target, solve_limit=2) for oracle in (fresh, used))
    assert first.missed_by == second.missed_by
    assert (first.achieved is None) == (second.achieved is None)
    if first.achieved is not None:
        assert first.achieved.runs == second.achieved.runs


def test_an_interrupt_leaves_a_valid_store(network, few, few_undisturbed, tmp_path, monkeypatch):
    path = tmp_path / "labels.jsonl"
    ask, calls = TargetOracle.ask, []

    def interrupted(self, *args, **kwargs):
        calls.append(1)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return ask(self, *args, **kwargs)

    monkeypatch.setattr(TargetOracle, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stnopt.label_targets(network, few, **SETTINGS, store=path)
    monkeypatch.undo()
    assert len(asked(path)) == 5
    again = stnopt.label_targets(network, few, **SETTINGS, store=path)
    assert again.labels.tolist() == few_undisturbed.labels.tolist()
    assert again.scope["n_solves"] == few_undisturbed.scope["n_solves"] - 5


def test_a_second_process_is_refused_by_name_and_loses_nothing(network, targets, tmp_path):
    path = tmp_path / "labels.jsonl"
    scope = {"plant": "p"}
    write = (
        "import sys, numpy as np\n"
        "from stnopt.feasibility.store import LabelStore\n"
        "with LabelStore(sys.argv[1], {'plant': 'p'}) as store:\n"
        "    store.add_labels(np.array([[1.0, 2.0]]), -1)\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
        "    store.add_labels(np.array([[3.0, 4.0]]), 1)\n"
    )
    early = LabelStore(path, scope)  # read before the other one wrote
    run = subprocess.Popen(
        [sys.executable, "-c", write, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout.readline() == "open\n"
    with pytest.raises(stnopt.InvalidInputError, match=r"labels\.jsonl.*in use by another process"):
        early.__enter__()
    run.communicate("go on")
    with early:
        assert early.labels == {(1.0, 2.0): -1, (3.0, 4.0): 1}
        early.add_labels(np.array([[5.0, 6.0]]), 1)
    assert len(LabelStore(path, scope).labels) == 3


@pytest.mark.parametrize("place", ["", "nowhere/labels.jsonl"])
def test_a_store_that_cannot_be_opened_is_an_error_of_ours(tmp_path, place):
    with (
        pytest.raises(stnopt.InvalidInputError, match="cannot be used"),
        LabelStore(tmp_path / place, {"plant": "p"}),
    ):
        pass


@pytest.mark.long
def test_kills_at_any_time_leave_nothing_torn(network, targets, undisturbed, tmp_path):
    path = tmp_path / "labels.jsonl"
    before: list[tuple[float, ...]] = []
    for n_more in (1, 2, 3, 5):
        run = subprocess.Popen([sys.executable, "-c", RUN, str(path), "1"])
        while run.poll() is None and len(asked_whole(path)) < len(before) + n_more:
            time.sleep(0.002)
        run.kill()
        run.wait()
        LabelStore(path, json.loads(path.read_bytes().split(b"\n")[0])["scope"])
        kept = asked_whole(path)
        assert kept[: len(before)] == before
        before = kept
    again = stnopt.label_targets(network, targets, **SETTINGS, store=path)
    assert again.labels.tolist() == undisturbed.labels.tolist()
    assert len(asked(path)) == len(set(asked(path))) == undisturbed.scope["n_solves"]


def asked_whole(path: Path) -> list[tuple[float, ...]]:
    """What was asked in the records that are whole, while another process may be writing."""
    if not path.exists():
        return []
    content = path.read_bytes()
    lines = content[: content.rfind(b"\n") + 1].split(b"\n")[1:]
    return [tuple(json.loads(line)["asked"]) for line in lines if b'"asked"' in line]
