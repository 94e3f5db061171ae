"""A reactor and its reactions, as data."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from reactor_yield.arguments import (
    FUNCTION,
    NUMBER,
    SOME_NAMES,
    TEXT,
    Kind,
    by_name,
    check_arguments,
    many,
    optional,
)
from reactor_yield.errors import InvalidConditionsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd

Array = NDArray[np.float64]


_TWO_NUMBERS = Kind(
    "two finite numbers",
    lambda value: (
        isinstance(value, tuple | list) and len(value) == 2 and all(map(NUMBER.fits, value))
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """One reaction: its rate, what it makes and spends, and its heat.

    The rate is `k (prod C_i^n_i - prod C_i^m_i / K) / (1 + sum K_i C_i)^s`, with
    `k = k_ref exp(E / R (1 / T_ref - 1 / T))`, `K = K_ref exp(dH / R (1 / T_ref - 1 / T))` and
    `K_i` likewise: a power law, reversible where K is given (van 't Hoff; without temperature's
    effect on dH), of Langmuir and Hinshelwood where adsorption is (Fogler, Essentials of Chemical
    Reaction Engineering, section 10.3). Or the user's own, `rate`.

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
    equilibrium_constant
        K at the reference temperature, in mol and dm3 as the orders require; None: irreversible.
    reverse_orders
        Exponents m_i of the reverse rate; by default those of what is made.
    adsorption
        For each species that is adsorbed, K_i at the reference temperature (dm3/mol) and its
        enthalpy (cal/mol).
    sites
        Exponent s of the sites taken.
    rate
        Called with the concentrations by species (mol/dm3, (n,) each) and the temperatures (K,
        (n,)); returns mol/(dm3 min), (n,). `rate_constant` and the rest then play no part.
    """

    name: str
    rate_constant: float
    reference_temperature: float
    activation_energy: float
    orders: Mapping[str, float]
    stoichiometry: Mapping[str, float]
    heat: float
    equilibrium_constant: float | None = None
    reverse_orders: Mapping[str, float] | None = None
    adsorption: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    sites: float = 1.0
    rate: Callable[[Mapping[str, Array], Array], Array] | None = None

    def __post_init__(self) -> None:
        check_arguments(
            name=(self.name, TEXT),
            rate_constant=(self.rate_constant, NUMBER),
            reference_temperature=(self.reference_temperature, NUMBER),
            activation_energy=(self.activation_energy, NUMBER),
            orders=(self.orders, by_name(NUMBER, empty=True)),
            stoichiometry=(self.stoichiometry, by_name(NUMBER)),
            heat=(self.heat, NUMBER),
            equilibrium_constant=(self.equilibrium_constant, optional(NUMBER)),
            reverse_orders=(self.reverse_orders, optional(by_name(NUMBER, empty=True))),
            adsorption=(self.adsorption, by_name(_TWO_NUMBERS, empty=True)),
            sites=(self.sites, NUMBER),
            rate=(self.rate, optional(FUNCTION)),
        )
        object.__setattr__(self, "orders", MappingProxyType(dict(self.orders)))
        object.__setattr__(self, "stoichiometry", MappingProxyType(dict(self.stoichiometry)))
        object.__setattr__(self, "adsorption", MappingProxyType(dict(self.adsorption)))
        reverse = self.reverse_orders
        if reverse is None:
            reverse = {s: moles for s, moles in self.stoichiometry.items() if moles > 0}
        object.__setattr__(self, "reverse_orders", MappingProxyType(dict(reverse)))
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
            f"give {species!r} one above 0 in orders"
            for species, moles in self.stoichiometry.items()
            if moles < 0 and not self.orders.get(species, 0) > 0 and self.rate is None
        ]
        problems += self._find_problems()
        if problems:
            raise InvalidConditionsError(*problems)

    def _find_problems(self) -> list[str]:
        """Find what is wrong with equilibrium and adsorption."""
        problems = []
        if self.equilibrium_constant is not None:
            if not (math.isfinite(self.equilibrium_constant) and self.equilibrium_constant > 0):
                problems.append(
                    f"reaction {self.name!r}: equilibrium_constant must be a positive number, got "
                    f"{self.equilibrium_constant!r}"
                )
            problems += [
                f"reaction {self.name!r} spends {species!r} when it runs back, but its reverse "
                f"rate does not depend on it: give {species!r} a reverse order above 0"
                for species, moles in self.stoichiometry.items()
                if moles > 0 and not (self.reverse_orders or {}).get(species, 0) > 0
            ]
        problems += [
            f"reaction {self.name!r}: the adsorption constant of {species!r} must not be negative"
            for species, (constant, _) in self.adsorption.items()
            if not (math.isfinite(constant) and constant >= 0)
        ]
        return problems


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
    pressure_drop
        1/dm3, of a packed tube: with p the pressure over that at the inlet,
        d(p^2)/dV = -pressure_drop (T / T_0) (F_T / F_T0) (Ergun; Fogler, eq. 5-28, alpha over the
        catalyst's mass per volume). 0: no pressure drop.
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
    pressure_drop: float = 0.0
    species: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        check_arguments(
            heat_capacities=(self.heat_capacities, by_name(NUMBER)),
            reactions=(self.reactions, many(Reaction)),
            feeds=(self.feeds, SOME_NAMES),
            key_reactant=(self.key_reactant, TEXT),
            product=(self.product, TEXT),
            volume=(self.volume, NUMBER),
            heat_transfer=(self.heat_transfer, NUMBER),
            coolant_heat_capacity=(self.coolant_heat_capacity, NUMBER),
            critical_temperature=(self.critical_temperature, NUMBER),
            gas_constant=(self.gas_constant, NUMBER),
            gas_law_constant=(self.gas_law_constant, NUMBER),
            pressure_drop=(self.pressure_drop, NUMBER),
        )
        object.__setattr__(self, "heat_capacities", MappingProxyType(dict(self.heat_capacities)))
        object.__setattr__(self, "reactions", tuple(self.reactions))
        object.__setattr__(self, "feeds", tuple(self.feeds))
        object.__setattr__(self, "species", tuple(self.heat_capacities))
        problems = [] if self.reactions else ["kinetics: at least one reaction is needed"]
        problems += _find_clashes(self.species)
        named = [(f"reaction {r.name!r}", s) for r in self.reactions for s in r.orders]
        named += [(f"reaction {r.name!r}", s) for r in self.reactions for s in r.stoichiometry]
        named += [(f"reaction {r.name!r}", s) for r in self.reactions for s in r.adsorption]
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
        problems += [
            f"kinetics: {name} must not be negative, got {getattr(self, name)!r}"
            for name in ("heat_transfer", "pressure_drop")
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0)
        ]
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
