"""What a formulation supports, held against what a plant demands: the rest is refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stnopt.errors import UnsupportedModelError
from stnopt.plant.demands import RULES, demanded_rules

if TYPE_CHECKING:
    from collections.abc import Collection

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState


def refuse_unsupported(
    formulation: str,
    supports: Collection[str],
    network: Network,
    problem: Problem | None = None,
    start: PlantState | None = None,
    *,
    instead: str = "use formulation='unit_events', which can",
) -> None:
    """Refuse a plant that demands a rule which a formulation does not name as supported.

    Parameters
    ----------
    formulation : str
        Its name, for the message.
    supports : collection of str
        Names of rules, from `stnopt.plant.demands.RULES`.
    network : Network
    problem : Problem, optional
        What is asked of it.
    start : PlantState, optional
        What it starts from.
    instead : str
        What to do, as the end of the message.

    Raises
    ------
    UnsupportedModelError
        Naming every rule that is not supported, and what demands it.
    """
    unknown = set(supports) - set(RULES)
    if unknown:
        raise ValueError(f"formulation {formulation!r} supports unknown rules: {sorted(unknown)}")
    beyond = [d.where for d in demanded_rules(network, problem, start) if d.rule not in supports]
    if beyond:
        raise UnsupportedModelError(
            f"formulation {formulation!r} cannot express:\n  - "
            + "\n  - ".join(beyond)
            + f"\n{instead}"
        )
