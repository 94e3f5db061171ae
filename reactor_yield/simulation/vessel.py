"""A stirred vessel: its phase, its jacket, and how it is charged and emptied."""

from __future__ import annotations

import math
from dataclasses import dataclass

from reactor_yield.arguments import NUMBER, TEXT, check_arguments
from reactor_yield.errors import InvalidConditionsError

PHASES = ("liquid", "gas")
THERMAL = ("jacket", "adiabatic", "isothermal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vessel:
    """A perfectly mixed vessel.

    Parameters
    ----------
    phase
        `"liquid"`: the volume is that of the liquid, which a feed adds to. `"gas"`: the contents
        fill the vessel's volume, and the pressure follows (ideal gas).
    thermal
        `"jacket"`: heat passes to a jacket at the recipe's `Ta`. `"adiabatic"`: none does.
        `"isothermal"`: the jacket keeps the contents at `To`, whatever that takes.
    heat_transfer
        UA of the jacket, cal/(min K).
    inert_heat_capacity
        Of solvent and wall, cal/K, in a batch; of the solvent that flows, cal/(min K), in a stirred
        tank that is run through.
    turnaround
        min to charge, empty and clean, added to each batch's time.
    """

    phase: str = "liquid"
    thermal: str = "jacket"
    heat_transfer: float = 0.0
    inert_heat_capacity: float = 0.0
    turnaround: float = 0.0

    def __post_init__(self) -> None:
        check_arguments(
            phase=(self.phase, TEXT),
            thermal=(self.thermal, TEXT),
            heat_transfer=(self.heat_transfer, NUMBER),
            inert_heat_capacity=(self.inert_heat_capacity, NUMBER),
            turnaround=(self.turnaround, NUMBER),
        )
        problems = [
            f"vessel: {name} must be one of {allowed}, got {value!r}"
            for name, value, allowed in (
                ("phase", self.phase, PHASES),
                ("thermal", self.thermal, THERMAL),
            )
            if value not in allowed
        ]
        problems += [
            f"vessel: {name} must be a number from 0 on, got {value!r}"
            for name, value in (
                ("heat_transfer", self.heat_transfer),
                ("inert_heat_capacity", self.inert_heat_capacity),
                ("turnaround", self.turnaround),
            )
            if not (math.isfinite(value) and value >= 0)
        ]
        if problems:
            raise InvalidConditionsError(*problems)
