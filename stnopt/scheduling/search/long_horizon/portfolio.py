"""The long-horizon search on several workers: different orders of windows, the best of all kept."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from joblib import Parallel, delayed

from stnopt.scheduling.search.improve import score
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon
from stnopt.scheduling.search.worth import MAXIMISED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.scheduling.schedule import Schedule

Found = tuple["Schedule | None", "float | None"]

#: Seconds that a worker must still have to begin: one that takes over from another that died.
_WORTH_BEGINNING = 1.0


def search_portfolio(
    network: Network, problem: Problem, *, n_jobs: int, time_limit: float, **settings: Any
) -> Found:
    """Search on several workers at once, by joblib's backend (Dask, where it is named).

    The first worker does what a single one would; the others go through windows in other orders.
    What a worker that dies would have found is lost, and nothing else. Ctrl-C ends all of them and
    leaves what the search began with.

    Parameters
    ----------
    network, problem
        As in `search_long_horizon`.
    n_jobs : int
        Number of workers, at least 2.
    time_limit : float
        Seconds.
    settings
        Of `search_long_horizon`, such as `start`, `improve` and `warm`.

    Returns
    -------
    schedule : Schedule or None
    bound : float or None
        The tightest of all.
    """
    until = time.time() + time_limit
    jobs = (
        delayed(search_until)(network, problem, until=until, seed=seed, settings=settings)
        for seed in range(n_jobs)
    )
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    found: list[Found] = [(settings.get("warm"), None), *_as_they_come(parallel(jobs))]
    if len(found) == 1:  # no worker came back
        found.append(search_until(network, problem, until=until, seed=0, settings=settings))
    schedules = [schedule for schedule, _ in found if schedule is not None]
    best = max(schedules, key=lambda each: score(each, network, problem), default=None)
    tightest = min if problem.objective in MAXIMISED else max
    bounds = [bound for _, bound in found if bound is not None]
    return best, tightest(bounds) if bounds else None


def search_until(
    network: Network, problem: Problem, *, until: float, seed: int, settings: dict[str, Any]
) -> Found:
    """Search until a time of the day, so that a job that is begun again ends with the others."""
    left = until - time.time()
    if left < _WORTH_BEGINNING and seed:
        return None, None
    return search_long_horizon(network, problem, time_limit=max(left, 0.0), seed=seed, **settings)


def _as_they_come(results: Any) -> Iterator[Found]:
    """Yield results until there are no more, or a worker that died takes the others with it."""
    iterator = iter(results)
    while True:
        try:
            schedule, bound = next(iterator)
        except StopIteration:
            return
        except KeyboardInterrupt:
            return
        except Exception as error:
            # Backends have exceptions of their own for workers that are gone.
            if type(error).__name__ not in _WORKER_GONE:
                raise
            return
        yield schedule, bound if bound is None or math.isfinite(bound) else None


#: What joblib's backends raise when workers die: loky, processes, Dask.
_WORKER_GONE = frozenset({"TerminatedWorkerError", "BrokenProcessPool", "KilledWorker"})
