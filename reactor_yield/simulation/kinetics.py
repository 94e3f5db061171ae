"""A reactor and its reactions, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reactor_yield.errors import InvalidConditionsError

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """One irreversible reaction with a power-law rate.

    Parameters
    ----------
    name
        Used in messages.
    rate_constant
        k at `reference_temperature`, in mol, dm3 and min as the orders require.
    reference_temperature
        K.
    activation_energy
        cal/mol.
    orders
        Exponent of each species' concentration (mol/dm3) in the rate.
    stoichiometry
        Moles of each species made (positive) or spent (negative) per mole of rate.
    heat
        Reaction enthalpy, cal per mole of rate; negative is exothermic.
    """

    name: str
    rate_constant: float
    reference_temperature: float
    activation_energy: float
    orders: Mapping[str, float]
    stoichiometry: Mapping[str, float]
    heat: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "orders", MappingProxyType(dict(self.orders)))
        object.__setattr__(self, "stoichiometry", MappingProxyType(dict(self.stoichiometry)))
        problems = [
            f"reaction {self.name!r}: {label} must be a positive number, got {value!r}"
            for label, value in (
                ("rate_constant", self.rate_constant),
                ("reference_temperature", self.reference_temperature),
            )
            if not (math.isfinite(value) and value > 0)
        ]
        if not (math.isfinite(self.activation_energy) and self.activation_energy >= 0):
            problems.append(
                f"reaction {self.name!r}: activation_energy must not be negative, "
                f"got {self.activation_energy!r}"
            )
        problems += [
            f"reaction {self.name!r}: order {order!r} of {species!r} must not be negative"
            for species, order in self.orders.items()
            if not (math.isfinite(order) and order >= 0)
        ]
        # A rate that does not fall to zero with a species it spends would drive its flow negative.
        problems += [
            f"reaction {self.name!r} spends {species!r} but its rate does not depend on it: "
            f"give {species!r} an order above 0"
            for species, moles in self.stoichiometry.items()
            if moles < 0 and not self.orders.get(species, 0) > 0
        ]
        if problems:
            raise InvalidConditionsError(*problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kinetics:
    """A reactor and its reactions, as data.

    Parameters
    ----------
    heat_capacities
        cal/(mol K) of every species; its keys are the species, in the order of the output columns.
    reactions
        At least one.
    feeds
        Species in the feed; species `A` is read from column `Fao`.
    key_reactant, product
        Conversion is that of the key reactant; yield is product made per key reactant spent.
    volume
        dm3.
    heat_transfer
        Ua, cal/(dm3 min K).
    coolant_heat_capacity
        cal/(mol K).
    critical_temperature
        K; a hot spot above it is marked `runaway`.
    gas_constant
        R in the rate constants, cal/(mol K).
    gas_law_constant
        R in C_T0 = P / (R T_0), dm3 atm/(mol K).
    """

    heat_capacities: Mapping[str, float]
    reactions: tuple[Reaction, ...]
    feeds: tuple[str, ...]
    key_reactant: str
    product: str
    volume: float
    heat_transfer: float
    coolant_heat_capacity: float
    critical_temperature: float
    gas_constant: float = 1.987
    gas_law_constant: float = 0.082
    species: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "heat_capacities", MappingProxyType(dict(self.heat_capacities)))
        object.__setattr__(self, "reactions", tuple(self.reactions))
        object.__setattr__(self, "feeds", tuple(self.feeds))
        object.__setattr__(self, "species", tuple(self.heat_capacities))
        problems = [] if self.reactions else ["kinetics: at least one reaction is needed"]
        problems += _find_clashes(self.species)
        named = [(f"reaction {r.name!r}", s) for r in self.reactions for s in r.orders]
        named += [(f"reaction {r.name!r}", s) for r in self.reactions for s in r.stoichiometry]
        named += [("feeds", s) for s in self.feeds]
        named += [("key_reactant", self.key_reactant), ("product", self.product)]
        unknown = {f"{where}: {s!r} has no heat capacity" for where, s in named}
        unknown -= {
            f"{where}: {s!r} has no heat capacity" for where, s in named if s in self.species
        }
        problems += sorted(unknown)
        if self.key_reactant not in self.feeds:
            problems.append(
                f"key_reactant {self.key_reactant!r} is not among the feeds {self.feeds}"
            )
        positive = {f"heat capacity of {s!r}": cp for s, cp in self.heat_capacities.items()}
        positive |= {
            name: getattr(self, name)
            for name in (
                "volume",
                "coolant_heat_capacity",
                "critical_temperature",
                "gas_constant",
                "gas_law_constant",
            )
        }
        problems += [
            f"kinetics: {name} must be a positive number, got {value!r}"
            for name, value in positive.items()
            if not (math.isfinite(value) and value > 0)
        ]
        if not (math.isfinite(self.heat_transfer) and self.heat_transfer >= 0):
            problems.append(
                f"kinetics: heat_transfer must not be negative, got {self.heat_transfer!r}"
            )
        if problems:
            raise InvalidConditionsError(*problems)

    @property
    def feed_columns(self) -> tuple[str, ...]:
        """Columns of the feed flows, such as `("Fao", "Fbo")`."""
        return tuple(f"F{s.lower()}o" for s in self.feeds)

    @property
    def condition_columns(self) -> tuple[str, ...]:
        """Columns that `simulate_reactor` reads."""
        return (*self.feed_columns, "P", "To", "m", "Ta")

    @property
    def outlet_columns(self) -> tuple[str, ...]:
        """Columns of the outlet flows, such as `("Fa_out", ...)`."""
        return tuple(f"F{s.lower()}_out" for s in self.species)

    @property
    def conversion_column(self) -> str:
        """Column of the key reactant's conversion, such as `"Xa"`."""
        return f"X{self.key_reactant.lower()}"

    @property
    def yield_column(self) -> str:
        """Column of the product's yield, such as `"Yc"`."""
        return f"Y{self.product.lower()}"

    @property
    def concentration_column(self) -> str:
        """Column of the product's outlet concentration, such as `"Cc_out"`."""
        return f"C{self.product.lower()}_out"

    def stoichiometric_matrix(self) -> Array:
        """Moles made per mole of rate, (n_species, n_reactions)."""
        return np.array(
            [[r.stoichiometry.get(s, 0.0) for r in self.reactions] for s in self.species]
        )

    def invariants(self) -> Array:
        """Find what no reaction changes: orthonormal combinations of flows, a column per species.

        For A + 2 B -> C, 2 A + 3 C -> 3 D they span (F_B spent) / 2 = F_C + F_D and
        F_A spent = F_C + 5/3 F_D, and those of the inlet equal those of the outlet.
        """
        u, singular, _ = np.linalg.svd(self.stoichiometric_matrix())
        rank = int(np.sum(singular > 1e-12 * singular.max(initial=1.0)))
        return np.asarray(u[:, rank:].T)


def _find_clashes(species: tuple[str, ...]) -> list[str]:
    """Species whose columns would have the same name, since columns are in lower case."""
    seen: dict[str, str] = {}
    problems = []
    for name in species:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            problems.append(
                f"kinetics: species {other!r} and {name!r} differ in case only, so their columns "
                f"F{name.lower()}_out would be one; rename one of them"
            )
    return problems


REFERENCE = Kinetics(
    heat_capacities={"A": 10.0, "B": 12.0, "C": 14.0, "D": 16.0},
    reactions=(
        Reaction(
            name="A + 2 B -> C",
            rate_constant=40.0,
            reference_temperature=300.0,
            activation_energy=8000.0,
            orders={"A": 1, "B": 2},
            stoichiometry={"A": -1, "B": -2, "C": 1},
            heat=2 * -10_000.0,  # -10 000 cal per mol of B
        ),
        Reaction(
            name="2 A + 3 C -> 3 D",
            rate_constant=40.0,
            reference_temperature=300.0,
            activation_energy=14_000.0,
            orders={"A": 2, "C": 3},
            stoichiometry={"A": -2 / 3, "C": -1, "D": 1},
            heat=2 / 3 * -8000.0,  # -8 000 cal per mol of A
        ),
    ),
    feeds=("A", "B"),
    key_reactant="A",
    product="C",
    volume=20.0,
    heat_transfer=80.0,
    coolant_heat_capacity=18.02,
    critical_temperature=750.0,
)
"""The reference reactor: example 12-7 of Fogler with changed constants (docs/reactor/model.md)."""


def inlet_concentration(
    pressure: Array | pd.Series, temperature: Array | pd.Series, kinetics: Kinetics = REFERENCE
) -> Array:
    """C_T0 = P / (R T_0), mol/dm3, from atm and K."""
    return np.asarray(pressure, float) / (
        kinetics.gas_law_constant * np.asarray(temperature, float)
    )
