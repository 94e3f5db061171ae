"""Rates of all reactions of a kinetics, for many rows at once."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from reactor_yield.simulation.kinetics import Kinetics, Reaction

Array = NDArray[np.float64]
Powers = list[tuple[int, float]]


class Rates:
    """Rates (n_reactions, r), mol/(dm3 min), from concentrations (n_species, r) and T (r,).

    Parameters
    ----------
    kinetics
        Whose reactions.
    """

    def __init__(self, kinetics: Kinetics) -> None:
        self._species = kinetics.species
        self._gas_constant = kinetics.gas_constant
        self._reactions = [self._compile(reaction) for reaction in kinetics.reactions]

    def _compile(
        self, reaction: Reaction
    ) -> tuple[Reaction, float, float, Powers, float, float, Powers, Array | None]:
        """Put logarithms and numbers of species in place of constants and names."""
        number = self._species.index
        slope = reaction.activation_energy / self._gas_constant
        log_factor = math.log(reaction.rate_constant) + slope / reaction.reference_temperature
        orders = [(number(s), order) for s, order in reaction.orders.items() if order]
        back_factor = back_slope = 0.0
        back: Powers = []
        if reaction.equilibrium_constant is not None:
            # k / K: the reverse rate constant, whose activation energy is E - dH.
            back_slope = slope - reaction.heat / self._gas_constant
            back_factor = (
                math.log(reaction.rate_constant / reaction.equilibrium_constant)
                + back_slope / reaction.reference_temperature
            )
            back = [(number(s), m) for s, m in (reaction.reverse_orders or {}).items() if m]
        adsorbed = None
        if reaction.adsorption:
            adsorbed = np.array(
                [
                    (number(s), constant, heat / self._gas_constant)
                    for s, (constant, heat) in reaction.adsorption.items()
                ]
            )
        return reaction, log_factor, slope, orders, back_factor, back_slope, back, adsorbed

    def __call__(self, concentrations: Array, temperature: Array) -> Array:
        """Rates of all reactions, (n_reactions, r)."""
        inverse = 1 / temperature
        rates = np.empty((len(self._reactions), concentrations.shape[1]))
        for j, parts in enumerate(self._reactions):
            reaction, log_factor, slope, orders, back_factor, back_slope, back, adsorbed = parts
            if reaction.rate is not None:
                named = dict(zip(self._species, concentrations, strict=True))
                rates[j] = reaction.rate(named, temperature)
                continue
            rate = np.exp(log_factor - slope * inverse)
            for i, order in orders:
                rate *= power(concentrations[i], order)
            if reaction.equilibrium_constant is not None:
                reverse = np.exp(back_factor - back_slope * inverse)
                for i, order in back:
                    reverse *= power(concentrations[i], order)
                rate -= reverse
            if adsorbed is not None:
                taken = np.ones_like(rate)
                for i, constant, heat in adsorbed:
                    factor = np.exp(heat * (1 / reaction.reference_temperature - inverse))
                    taken += constant * factor * concentrations[int(i)]
                rate /= taken**reaction.sites
            rates[j] = rate
        return rates


def power(concentration: Array, order: float) -> Array:
    """Concentration to the order.

    Whole orders take a rounding error below zero as it is, which keeps the rate smooth there; other
    orders are not defined below zero and count it as none left.
    """
    if order == 1:
        return concentration
    if order == 2:
        return concentration * concentration
    if order == 3:
        return concentration * concentration * concentration
    if float(order).is_integer():
        return concentration**order
    return np.maximum(concentration, 0.0) ** order
