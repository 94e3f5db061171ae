"""Workers on a Dask cluster: one that dies in the middle of a question costs nothing."""

from __future__ import annotations

import json
import os

import joblib
import pytest

import stnopt

distributed = pytest.importorskip("distributed")

SETTINGS = {"horizon": 8, "n_events": 4, "max_span": 0}


@pytest.fixture(scope="module")
def cluster():
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as local,
        distributed.Client(local) as client,
    ):
        client.wait_for_workers(2)
        yield client


def die_at_the_next_question() -> int:
    """Set a trap in a worker and return its process."""
    import os
    import signal

    from stnopt.feasibility.oracle import TargetOracle

    def ask(*_args, **_limits):
        os.kill(os.getpid(), signal.SIGKILL)

    TargetOracle.ask = ask
    return os.getpid()


def is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


# The client says so when a worker goes away; that is what the test is about.
@pytest.mark.filterwarnings("ignore::UserWarning:distributed")
@pytest.mark.long
def test_a_worker_killed_in_the_middle_of_a_question_costs_nothing(cluster, tmp_path):
    network = stnopt.load_example("ex2")
    targets = stnopt.sample_targets({"S9": (0, 110), "S8": (0, 110)}, 24, seed=2, method="uniform")
    undisturbed = stnopt.label_targets(network, targets, **SETTINGS)
    first, *_ = cluster.scheduler_info()["workers"]
    (doomed,) = cluster.run(die_at_the_next_question, workers=[first]).values()
    assert is_running(doomed)

    path = tmp_path / "labels.jsonl"
    with joblib.parallel_config(backend="dask"):
        samples = stnopt.label_targets(network, targets, **SETTINGS, n_jobs=-1, store=path)

    assert not is_running(doomed)
    assert samples.labels.tolist() == undisturbed.labels.tolist()
    records = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    asked = [tuple(each["asked"]) for each in records if "asked" in each]
    assert len(asked) == len(set(asked))
    assert samples.scope["n_solves"] == undisturbed.scope["n_solves"]
    again = stnopt.label_targets(network, targets, **SETTINGS, store=path)
    assert again.scope["n_solves"] == 0
    assert again.labels.tolist() == undisturbed.labels.tolist()
