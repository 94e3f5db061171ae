"""On how many event points targets are asked about, where nobody says: a search within bounds."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace
from typing import TYPE_CHECKING

from stnopt.scheduling.search.event_points import EventPointSearch
from stnopt.scheduling.search.fewest_events import fewest_events
from stnopt.scheduling.search.global_bound import GlobalBound
from stnopt.scheduling.search.incumbent import Incumbent
from stnopt.scheduling.search.limits import SearchLimits

if TYPE_CHECKING:
    from collections.abc import Callable

    from stnopt.plant.network import Network
    from stnopt.scheduling.search.question import Question

#: Branch-and-bound nodes of one attempt: more event points that take longer are not looked at. In
#: nodes, so that what is chosen does not depend on the machine's load.
_NODES = 10_000
_GAP = 1e-4
#: Up to so many typical batches, one after the other, event points can be expected to close.
_MOST_BATCHES = 6.0


def is_long(question: Question) -> bool:
    """Whether a horizon has room for more batches than event points can be expected to prove."""
    typical = statistics.median(f.duration(f.max_batch) for f in question.network.suitabilities)
    return question.horizon > _MOST_BATCHES * typical


def choose_events(
    question: Question,
    *,
    n_events: int | None = None,
    max_span: int | None = None,
    report: Callable[[str], None] = lambda _: None,
) -> tuple[int, int, int]:
    """Choose event points and span on which the plant reaches its largest production.

    Event points are added, and spans lengthened, while that helps. An attempt ends after a number
    of nodes, and the choice with the first that then has nothing better: the work is bounded.

    Parameters
    ----------
    question : Question
        Its targets and objective do not count; its deliveries and orders do.
    n_events, max_span : int, optional
        What is given already.
    report : callable
        Told what is being tried.

    Returns
    -------
    n_events, max_span : int
    n_solves : int
        Attempts that it took.
    """
    network = _with_products(question.network)
    problem = replace(question.problem, objective="production", targets={}, sense="at_least")
    question = replace(question, network=network, problem=problem)
    search = EventPointSearch(
        question=question,
        formulation="unit_events",
        limits=SearchLimits(proof_limit=0, relative_gap=_GAP),
        incumbent=Incumbent(question=question, relative_gap=_GAP),
        bound=GlobalBound(maximises=True, relative_gap=_GAP),
        may_choose=n_events is None and max_span is None,
        may_ask=False,
        keeps_on=False,
        pause_after=math.inf,
        report=report,
        node_limit=_NODES,
    )
    if n_events is None:
        search.add_events(fewest_events(network), max_span)
    else:
        search.widen(n_events, max_span)
    chosen = search.best or search.last
    assert chosen is not None
    return chosen.n_events, chosen.max_span, len(search.tried)


def _with_products(network: Network) -> Network:
    """Return the plant with something to make: where nothing has a price, what is made and kept."""
    if network.products:
        return network
    made = [name for name in network.states if network.producers(name)]
    kept = [name for name in made if not network.consumers(name)] or made
    priced = {name: replace(network.states[name], price=1.0) for name in kept}
    return replace(network, states={**network.states, **priced})
