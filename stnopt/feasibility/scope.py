"""What labels and regions hold for: a plant, its state at time 0, and what is asked of it besides.

Labels, stores and regions carry it in plain text, and are refused for anything else.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from stnopt.errors import InvalidInputError
from stnopt.plant.problem import Problem
from stnopt.plant.state import PlantState, check_state
from stnopt.scheduling.checks import check_deliveries, check_orders
from stnopt.scheduling.search.question import Question

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Literal

    from stnopt.plant.network import Network


def ask_about(
    network: Network,
    *,
    horizon: float | None,
    problem: Problem | None,
    start: PlantState | None,
    sense: Literal["at_least", "exactly"] | None = None,
) -> Question:
    """Put together what every target is asked of.

    Parameters
    ----------
    network : Network
    horizon : float or None
        In the plant's time unit; None where the problem has one.
    problem : Problem or None
        Horizon, deliveries, orders and date; its objective does not count.
    start : PlantState or None
        The plant at time 0.
    sense : {"at_least", "exactly"}, optional
        Left out, the problem's.

    Raises
    ------
    InvalidInputError
        No horizon or two of them, targets in the problem, or what the plant cannot be asked for.
    """
    if problem is not None and not isinstance(problem, Problem):
        raise InvalidInputError(f"problem: expected a Problem, got {problem!r}")
    if start is not None and not isinstance(start, PlantState):
        raise InvalidInputError(f"start: expected a PlantState, got {start!r}")
    asked = problem or Problem()
    if asked.targets:
        raise InvalidInputError(
            f"problem: its targets {sorted(asked.targets)} do not belong here: the amounts that are"
            " asked about are given apart; leave them out"
        )
    if horizon is not None and asked.horizon not in (None, horizon):
        raise InvalidInputError(f"horizon: {horizon} here, {asked.horizon} in the problem")
    horizon = asked.horizon if horizon is None else horizon
    if horizon is None:
        raise InvalidInputError("horizon: give it, or a problem that has one")
    asked = replace(
        asked, objective="profit", horizon=float(horizon), sense=sense or asked.sense, targets={}
    )
    check_deliveries(network, asked.deliveries, horizon=asked.horizon)
    check_orders(network, asked.orders, horizon=asked.horizon)
    if start is not None:
        check_state(start, network)
    return Question(network=network, problem=asked, start=start)


def scope_of(
    question: Question, *, require: str | None, n_events: int | None, max_span: int | None
) -> dict[str, Any]:
    """Say what labels hold for, as names and plain values."""
    network, problem = question.network, question.problem
    return {
        "plant": network.name,
        "fingerprint": network.fingerprint,
        "horizon": question.horizon,
        "sense": problem.sense,
        "require": require,
        "n_events": n_events,
        "max_span": max_span,
        "amount_unit": network.amount_unit,
        **circumstances(question),
    }


def circumstances(question: Question) -> dict[str, str]:
    """Say in text from where a schedule starts and what it has to serve; nothing where nothing."""
    problem = question.problem
    said = {}
    state = write_state(question.start, question.network)
    if state is not None:
        said["state"] = state
        said["state_digest"] = hashlib.sha256(state.encode()).hexdigest()[:16]
    if problem.deliveries:
        rows = sorted([each.state, each.time, each.amount] for each in problem.deliveries)
        said["deliveries"] = json.dumps(rows)
    if problem.orders:
        orders = sorted(problem.orders, key=lambda order: order.id)
        said["orders"] = json.dumps([_plain(order) for order in orders])
    if problem.start is not None:
        said["date"] = problem.start.isoformat()
    return said


def write_state(start: PlantState | None, network: Network) -> str | None:
    """Write the plant at time 0 as JSON with the keys of `now:`; None where it is the plant's own.

    Stocks that are the plant's `initial` are left out: the same plant is the same text.
    """
    if start is None:
        return None
    content: dict[str, Any] = {
        "stocks": {
            name: amount
            for name, amount in start.stocks.items()
            if amount != network.states[name].initial
        },
        "running": sorted((_plain(b) for b in start.running), key=lambda b: str(b["unit"])),
        "held": {unit: dict(row) for unit, row in start.held.items()},
        "last": {unit: _plain(last) for unit, last in start.last.items()},
        "since_cleaning": {unit: n for unit, n in start.since_cleaning.items() if n},
        "open_orders": [_plain(o) for o in sorted(start.open_orders, key=lambda o: o.id)],
    }
    content = {key: value for key, value in content.items() if value}
    return json.dumps(content, sort_keys=True) if content else None


def refuse_other_origin(
    origin: Mapping[str, Any], network: Network, start: PlantState | None, what: str
) -> None:
    """Refuse what was made from another state of the same plant.

    Of what does not say which plant it comes from, and of another plant's, nothing is known here.

    Parameters
    ----------
    origin : mapping
        A region's origin, or the scope of labels.
    network : Network
    start : PlantState or None
        The plant at time 0 as it is now.
    what : str
        What is refused, for the message.

    Raises
    ------
    InvalidInputError
        Naming both states.
    """
    if origin.get("fingerprint") != network.fingerprint:
        return
    theirs, ours = origin.get("state"), write_state(start, network)
    if theirs != ours:
        raise InvalidInputError(
            f"{what} was made from another state of plant {network.name!r}: {_told(theirs)} there,"
            f" {_told(ours)} here; make it anew with start= this state"
        )


def _told(state: object) -> str:
    return "its own stocks with nothing running" if state is None else str(state)


def _plain(noun: Any) -> dict[str, Any]:
    """Write a noun's fields, without those that nothing is said about."""
    pairs = ((each.name, getattr(noun, each.name)) for each in fields(noun))
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in pairs
        if value is not None
    }
