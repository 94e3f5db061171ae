"""Kills in the middle of writes, two processes on one store, a full disk, mutated files.

`python benchmarks/damaged_files.py [seed]` prints a table: for each kind of file how often its
writer was killed (SIGKILL, at a moment drawn within the time that a write takes), and how many
files were found torn; then what became of a labelling run and of a plan that were killed and
started again; then mutated files, each refused by an error of ours or equal in its answers. (Stores
of labels: `tests/feasibility/test_mutated_files.py`.) A file that is torn, lost or misread ends it
with an error. It forks, so it needs Linux or macOS.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from tqdm import tqdm

import reactor_yield as ry
import stnopt as so
from reactor_yield.report import drift_page, write_drift_page
from stnopt.cli.write_schedule import write_schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KILLS_PER_KIND = 4
KILLS_PER_RUN = 6
MUTATIONS = 1000
#: Of what takes longest to read: a yield model, and a store, which is read by planning from it.
SLOW_MUTATIONS = 100
#: Of plans.
GAP = 5e-3
PLANT = {
    "name": "one reactor",
    "states": {
        "RawA": {"initial": "unlimited", "cost": 1},
        "RawB": {"initial": "unlimited", "cost": 2},
        "A": {"price": 5},
        "B": {"price": 6},
    },
    "tasks": {
        f"Make{product}": {
            "consumes": {f"Raw{product}": 1},
            "produces": {product: 1},
            "units": {"Reactor": {"max_batch": 10, "fixed_time": 2, "fixed_cost": 3}},
        }
        for product in "AB"
    },
}


class Kind:
    """A kind of file: how its two versions are written, and what is read back."""

    def __init__(
        self, name: str, write: Callable[[Path, int], object], read: Callable[[Path], Any]
    ) -> None:
        self.name, self.write, self.read = name, write, read


def child(work: Callable[[], object]) -> int:
    """Do something in another process; its number."""
    number = os.fork()
    if number == 0:
        with contextlib.suppress(BaseException), Path(os.devnull).open("w") as nowhere:
            sys.stdout = sys.stderr = nowhere
            work()
        os._exit(0)
    return number


def kill_within(number: int, seconds: float, chance: random.Random) -> bool:
    """Kill a process after a time that is drawn; whether it was still at work."""
    time.sleep(seconds * chance.random())
    os.kill(number, signal.SIGKILL)
    _, status = os.waitpid(number, 0)
    return os.WIFSIGNALED(status)


def kill_writers(kind: Kind, folder: Path, chance: random.Random) -> tuple[int, int]:
    """Kill writers of one kind; how often one was at work, and how often a file was torn."""
    path = folder / kind.name
    expected = []
    for version in (0, 1):
        begun = time.perf_counter()
        kind.write(path, version)
        seconds = time.perf_counter() - begun
        expected.append(kind.read(path))
    assert expected[0] != expected[1]

    def write_on() -> None:
        for count in range(10**6):
            kind.write(path, count % 2)

    killed = torn = 0
    for _ in range(KILLS_PER_KIND):
        killed += kill_within(child(write_on), 0.02 + 3 * seconds, chance)
        try:
            torn += kind.read(path) not in expected
        except (so.StnoptError, ry.ReactorYieldError, ValueError, OSError) as error:
            print(f"{kind.name}: {error}")
            torn += 1
    return killed, torn


def kinds() -> Iterator[Kind]:
    """Every kind of file that the two packages write."""
    network = so.read_network(PLANT)
    searches = [so.find_schedule(network, horizon=h, time_limit=20.0) for h in (8.0, 10.0)]
    schedules = [search.schedule for search in searches]
    regions = [
        so.trace_frontier(network, horizon=h, products=["A", "B"], tolerance=0.2) for h in (4, 6)
    ]
    targets = so.sample_targets({"A": (0, 50), "B": (0, 50)}, 64, seed=0)
    samples = []
    for region in regions:
        labels = so.TargetSamples.from_records(
            targets.assign(label=np.where(targets.sum(axis=1) > region.upper[0], 1, -1)),
            inputs=["A", "B"],
            label="label",
        )
        samples.append(labels)
    learned = [so.fit_region(each, kernel="rbf", seed=0).region for each in samples]
    problems = [planning_problem(amount) for amount in (10.0, 15.0)]
    plans = [so.find_plan(problem, time_limit=20.0).plan for problem in problems]
    tables = [ry.generate_dataset(200, seed=seed) for seed in (0, 1)]
    models = [ry.fit_yield_model(table, model="forest", seed=0) for table in tables]
    drifts = [ry.detect_drift(tables[0], table) for table in tables]

    def folder_of(path: Path) -> list[str]:
        kept = so.read_schedule(path / "schedule.json")
        frame = pd.read_csv(path / "stock.csv")
        for figure in ("gantt.png", "stock.png"):
            content = (path / figure).read_bytes()
            if content[:4] + content[-8:-4] != b"\x89PNGIEND":
                raise ValueError(f"{figure} is no whole picture")
        return [kept.to_json(), str(frame.shape)]

    yield Kind("schedule.json", lambda p, v: schedules[v].to_json(p), so.read_schedule)
    yield Kind("schedule.csv", lambda p, v: schedules[v].to_csv(p), so.read_schedule)
    yield Kind("schedule.xlsx", lambda p, v: schedules[v].to_excel(p), so.read_schedule)
    yield Kind(
        "samples.json",
        lambda p, v: samples[v].to_json(p),
        lambda p: so.TargetSamples.from_json(p).to_json(),
    )
    yield Kind(
        "samples.csv",
        lambda p, v: samples[v].to_csv(p),
        lambda p: so.TargetSamples.from_csv(p).to_json(),
    )
    yield Kind(
        "samples.xlsx",
        lambda p, v: samples[v].to_excel(p),
        lambda p: so.TargetSamples.from_excel(p).to_json(),
    )
    yield Kind(
        "certified.json",
        lambda p, v: regions[v].to_json(p),
        lambda p: so.CertifiedRegion.load(p).to_json(),
    )
    yield Kind(
        "learned.json", lambda p, v: learned[v].to_json(p), lambda p: so.load_region(p).to_json()
    )
    yield Kind(
        "plan.json",
        lambda p, v: plans[v].to_json(p),
        lambda p: so.Plan.from_json(p.read_text(encoding="utf-8")).to_json(),
    )
    yield Kind(
        "plant.yaml",
        lambda p, v: so.load_example(("ex1", "ex2")[v]).to_yaml(p),
        lambda p: so.read_network(p).fingerprint,
    )
    yield Kind(
        "plant.xlsx",
        lambda p, v: so.write_tables(p, so.load_example(("ex1", "ex2")[v])),
        lambda p: so.read_network(p).fingerprint,
    )
    probe = tables[0].drop(columns=[models[0].target])
    yield Kind(
        "model.zip",
        lambda p, v: models[v].save(p),
        lambda p: ry.load_yield_model(p).expect(probe).tolist(),
    )
    pages = [drift_page(report) for report in drifts]
    yield Kind(
        "drift.html",
        lambda p, v: write_drift_page(drifts[v], p),
        lambda p: pages.index(p.read_text(encoding="utf-8")),
    )
    yield Kind(
        "folder",
        lambda p, v: write_schedule(schedules[v], network, p),
        folder_of,
    )


def planning_problem(amount: float) -> so.PlanningProblem:
    """Return a plan's question of two periods."""
    rows = [
        {"period": period, "product": product, "amount": amount * period}
        for period in (1, 2)
        for product in "AB"
    ]
    return so.read_planning_problem(
        {
            "periods": 2,
            "facilities": {"main": {"plant": PLANT, "horizon": 8, "holding_cost": {"A": 0.1}}},
            "demand": rows,
            "backlog_cost": 2,
            "lost_cost": 30,
        }
    )


def kill_runs(
    run: Callable[[Path | None], Any], path: Path, chance: random.Random
) -> tuple[int, bool]:
    """Kill a run with a store again and again, then let it end; kills, and whether it is equal."""
    begun = time.perf_counter()
    whole = run(None)
    seconds = time.perf_counter() - begun
    killed = 0
    for _ in range(KILLS_PER_RUN):
        # In small parts, so that the kills are spread over the run.
        part = 2 * seconds / KILLS_PER_RUN
        killed += kill_within(child(lambda: run(path)), part, chance)
    return killed, run(path) == whole


def label(path: Path | None) -> list[int]:
    """Label targets of a plant that takes some solves."""
    targets = so.sample_targets({"S9": (0, 110), "S8": (0, 110)}, 60, seed=1)
    found = so.label_targets(
        so.load_example("ex2"), targets, horizon=8, n_events=4, max_span=0, store=path
    )
    labels: list[int] = found.labels.tolist()
    return labels


class Planned(NamedTuple):
    """What a plan costs, and what none costs less than; equal where neither claim is broken."""

    cost: float
    bound: float

    def __eq__(self, other: object) -> bool:
        """Whether both can be true: with less in its store a plan may end further from the best."""
        return (
            isinstance(other, Planned)
            and self.bound <= other.cost + 1e-4
            and other.bound <= self.cost + 1e-4
            and abs(self.cost - other.cost) <= GAP * self.cost
        )

    __hash__ = tuple.__hash__


def plan(path: Path | None) -> Planned:
    """Plan two periods."""
    found = so.find_plan(planning_problem(15.0), store=path, time_limit=60.0, relative_gap=GAP)
    return Planned(found.cost, found.bound)


def two_processes(folder: Path) -> str:
    """Let a second process open the store of a first; what it is told."""
    path = folder / "shared.jsonl"
    first = child(lambda: label(path))
    told = "both went through, one after the other"
    while not path.exists():
        time.sleep(0.005)
    try:
        label(path)
    except so.InvalidInputError as error:
        told = f"refused: {str(error).replace(str(folder), '...')}"
    os.waitpid(first, 0)
    assert label(path) == label(None)
    return told


@contextlib.contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """Let no file grow beyond some bytes, as on a disk that is full then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def fill_disk(folder: Path, each: list[Kind]) -> tuple[int, int]:
    """Write every kind to a full disk; how many were refused by name, and left what was there."""
    refused = kept = 0
    for kind in each:
        path = folder / f"full {kind.name}"
        kind.write(path, 0)
        before = kind.read(path)
        with full_disk(100):
            try:
                kind.write(path, 1)
            except (so.StnoptError, ry.ReactorYieldError) as error:
                refused += "cannot be written" in str(error) or "cannot write" in str(error)
        kept += kind.read(path) == before
    for run in (label, plan):
        path = folder / f"full {run.__name__}"
        with full_disk(300), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            answer = run(path)
        refused += any("cannot be written" in str(w.message) for w in told)
        kept += answer == run(path) == run(None)
    return refused, kept


def mutated(data: bytes, chance: random.Random) -> bytes:
    """Return data with one fault of those that disks, editors and copies make."""
    at = chance.randrange(len(data))
    end = min(len(data), at + chance.randint(1, 40))
    lines = data.split(b"\n")
    some = chance.randrange(len(lines))
    return [
        lambda: data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :],
        lambda: data[:at],
        lambda: data[:at] + data[end:],
        lambda: data[:at] + data[at:end] + data[at:],
        lambda: data[:at] + chance.randbytes(end - at) + data[end:],
        lambda: data[:at] + b"0" + data[at:],
        lambda: b"\n".join(lines[:some] + lines[some + 1 :]),
        lambda: data + data,
    ][chance.randrange(8)]()


def mutate(kind: Kind, folder: Path, chance: random.Random, n: int) -> tuple[int, int, int]:
    """Read mutated files; how many were refused, equal, and read as something else."""
    path = folder / f"mutated {kind.name}"
    kind.write(path, 0)
    data, whole = path.read_bytes(), kind.read(path)
    refused = equal = 0
    for _ in range(n):
        path.write_bytes(mutated(data, chance))
        try:
            found = kind.read(path)
        except (so.StnoptError, ry.ReactorYieldError):
            refused += 1
        else:
            equal += found == whole
    return refused, equal, n - refused - equal


def plan_store(folder: Path) -> Kind:
    """Return a store of plans, read by going on from it: what is missing is asked again."""
    path = folder / "whole.jsonl"
    plan(path)
    content = path.read_bytes()
    return Kind("plans.jsonl", lambda p, _: p.write_bytes(content), plan)


def cpu_seconds() -> float:
    """CPU time of this process and those it waited for."""
    each = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in each)


def main(seed: int = 0) -> None:
    """Print the table; end with an error if anything was torn, lost or misread."""
    chance, begun = random.Random(seed), cpu_seconds()
    # Its own lock is shared with what is forked, and stays locked where that is killed.
    tqdm.set_lock(threading.RLock())
    bad = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        every = list(kinds())
        print("| written | kills | torn |\n|---|---|---|")
        n_kills = 0
        for kind in every:
            killed, torn = kill_writers(kind, folder, chance)
            n_kills, bad = n_kills + killed, bad + torn
            print(f"| {kind.name} | {killed} | {torn} |", flush=True)
        for run in (label, plan):
            killed, same = kill_runs(run, folder / f"{run.__name__}.jsonl", chance)
            n_kills, bad = n_kills + killed, bad + (not same)
            print(f"| run of {run.__name__}, gone on | {killed} | {int(not same)} |", flush=True)
        print(f"\n{n_kills} kills. Two processes on one store: {two_processes(folder)}.")
        refused, kept = fill_disk(folder, every)
        n_full = len(every) + 2
        bad += 2 * n_full - refused - kept
        print(
            f"Full disk: {refused} of {n_full} writes told so, "
            f"{kept} left what was there or were made up for.\n"
        )
        print("| mutated | refused | equal | misread |\n|---|---|---|---|")
        checked = ("certified.json", "learned.json", "model.zip")
        for kind in (*(k for k in every if k.name in checked), plan_store(folder)):
            n = SLOW_MUTATIONS if kind.name in ("model.zip", "plans.jsonl") else MUTATIONS
            refused, equal, misread = mutate(kind, folder, chance, n)
            bad += misread
            print(f"| {kind.name} | {refused} | {equal} | {misread} |", flush=True)
    print(f"\nseed {seed}, {cpu_seconds() - begun:.0f} CPU s")
    if bad:
        raise SystemExit(f"{bad} files torn, lost or misread")


if __name__ == "__main__":
    main(*(int(text) for text in sys.argv[1:]))
