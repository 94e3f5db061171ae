"""What a formulation supports, held against what a plant demands: the rest is refused by name.

A formulation that keeps one file per rule lists none of them: each file says by `RULES` what it
expresses, and what to do by `declare` (variables that durations and other rules speak of) and `add`
(all else), each a function of the model and its tables; either may be left out.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from stnopt.errors import UnsupportedModelError
from stnopt.plant.demands import RULES, demanded_rules

if TYPE_CHECKING:
    from collections.abc import Collection
    from types import ModuleType

    from stnopt.plant.network import Network
    from stnopt.plant.problem import Problem
    from stnopt.plant.state import PlantState


def find_rule_files(package: ModuleType) -> tuple[ModuleType, ...]:
    """Import the files of a package that say by `RULES` which rules they express.

    In the order of `stnopt.plant.demands.RULES`, so that a rule may speak of those before it.

    Raises
    ------
    ValueError
        A file names a rule that does not exist, or one that another file expresses.
    """
    names = [file.name for file in iter_modules(package.__path__)]
    modules = [import_module(f"{package.__name__}.{name}") for name in names]
    order = {rule: place for place, rule in enumerate(RULES)}
    places: dict[int, ModuleType] = {}
    for module in modules:
        for rule in getattr(module, "RULES", ()):
            if rule not in order or order[rule] in places:
                raise ValueError(f"{module.__name__} expresses {rule!r}: unknown, or another's")
            places[order[rule]] = module
    return tuple(dict.fromkeys(places[place] for place in sorted(places)))


def rules_of(files: Collection[ModuleType]) -> frozenset[str]:
    """Return the names of all rules that some files express."""
    return frozenset(rule for module in files for rule in module.RULES)


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
