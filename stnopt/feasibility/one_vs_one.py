"""A class of a one-vs-one classifier as a union of regions: its ways to win, and what each needs.

Several classes are told apart by a decision between each pair, which gives one of them a vote. A
class is also predicted where it loses one, as long as nobody has more votes; which decisions have
to go how is worked out here, exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from stnopt.errors import InvalidInputError, UnsupportedModelError
from stnopt.feasibility.region import KernelRegion, LinearRegion, Region, checked_scalars

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from stnopt.feasibility.region import Points, Scalar

    FloatArray = NDArray[np.float64]

#: ("pair", first, second): the first beats the second. ("sum", first, second): the first's sum of
#: pairwise values is the larger one.
Condition: TypeAlias = tuple[Literal["pair", "sum"], int, int]

MAX_ALTERNATIVES = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class UnionRegion:
    """A point is inside where all regions of at least one alternative accept it.

    Attributes
    ----------
    alternatives : tuple of tuples of LinearRegion or KernelRegion
        All of the same inputs. A region may appear in several alternatives, as the same object.
    origin : mapping
        Where it came from.
    """

    alternatives: tuple[tuple[Region, ...], ...]
    origin: Mapping[str, Scalar] = field(default_factory=dict)

    def __post_init__(self) -> None:
        given = self.alternatives
        if not isinstance(given, tuple | list) or not all(
            isinstance(one, tuple | list) for one in given
        ):
            raise InvalidInputError(
                f"alternatives: expected a tuple of tuples of regions, got {type(given).__name__}"
            )
        alternatives = tuple(tuple(one) for one in given)
        if not alternatives or not all(alternatives):
            raise InvalidInputError(
                "alternatives: expected at least one, each with at least one region"
            )
        for region in (region for one in alternatives for region in one):
            if not isinstance(region, LinearRegion | KernelRegion):
                raise InvalidInputError(
                    "alternatives: expected LinearRegion or KernelRegion, got"
                    f" {type(region).__name__}"
                )
            if region.inputs != alternatives[0][0].inputs:
                raise InvalidInputError(
                    f"alternatives: all regions need the inputs {alternatives[0][0].inputs}, one"
                    f" has {region.inputs}"
                )
        object.__setattr__(self, "alternatives", alternatives)
        object.__setattr__(self, "origin", MappingProxyType(checked_scalars(self.origin, "origin")))

    def __repr__(self) -> str:
        return (
            f"UnionRegion({', '.join(self.inputs)}: {len(self.alternatives)} alternatives of "
            f"{len(self.regions)} regions)"
        )

    def _repr_html_(self) -> str:
        """Return the region drawn, as notebooks show it."""
        from stnopt.page.notebook import show_region

        return show_region(self)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the inputs."""
        return self.alternatives[0][0].inputs

    @property
    def lower(self) -> FloatArray:
        """Lower end of the training box, (n,)."""
        return self.alternatives[0][0].lower

    @property
    def upper(self) -> FloatArray:
        """Upper end of the training box, (n,)."""
        return self.alternatives[0][0].upper

    @property
    def regions(self) -> tuple[Region, ...]:
        """Each region once, in the order in which the alternatives name them."""
        return tuple({id(r): r for one in self.alternatives for r in one}.values())

    def decision(self, points: Points) -> FloatArray:
        """Least over the alternatives of the largest decision in each, (k,); <= 0 is inside."""
        values = {id(region): region.decision(points) for region in self.regions}
        worst = [
            np.max([values[id(region)] for region in one], axis=0) for one in self.alternatives
        ]
        least: FloatArray = np.min(worst, axis=0)
        return least

    def contains(self, points: Points) -> NDArray[np.bool_]:
        """Whether each point is inside, (k,)."""
        return self.decision(points) <= 0


def winning_alternatives(
    count: int, chosen: int, *, break_ties: bool = False
) -> tuple[tuple[Condition, ...], ...]:
    """List the ways in which a class wins one-vs-one, with no needless condition.

    Each pair gives its winner a vote. The class with most votes is predicted; of several the first
    one, or with `break_ties` the one with the largest sum of its pairwise values.

    Parameters
    ----------
    count : int
        Number of classes.
    chosen : int
        Place of the class among them.
    break_ties : bool
        As scikit-learn's ``break_ties=True``.

    Returns
    -------
    tuple of tuples of (kind, first, second)
        The class is predicted if and only if all conditions of one of them hold; where a pair is
        exactly undecided, either side may be taken.

    Raises
    ------
    UnsupportedModelError
        More than `MAX_ALTERNATIVES` ways.
    """
    others = [k for k in range(count) if k != chosen]
    pairs = [(chosen, k) for k in others]
    pairs += [(i, j) for i in others for j in others if i < j]
    found: list[frozenset[Condition]] = []

    def wins(known: frozenset[Condition]) -> bool:
        """Whether the class is certain to win: no other can come first, each at its best."""
        votes = [0] * count
        rival = [count - 1] * count
        for kind, first, second in known:
            if kind == "pair":
                votes[first] += 1
                rival[second] -= 1
        return all(
            votes[chosen] > rival[k]
            or (
                votes[chosen] == rival[k]
                and (("sum", chosen, k) in known if break_ties else chosen < k)
            )
            for k in others
        )

    def loses(known: frozenset[Condition]) -> bool:
        """Whether the class is certain to lose."""
        best, least = count - 1, [0] * count
        for kind, first, second in known:
            if kind == "pair":
                least[first] += 1
                best -= second == chosen
        return any(
            least[k] > best
            or (least[k] == best and (("sum", k, chosen) in known if break_ties else k < chosen))
            for k in others
        )

    def explore(known: frozenset[Condition], left: list[Condition]) -> None:
        if loses(known) or any(one <= known for one in found):
            return
        if wins(known):
            needed = known
            for condition in sorted(known, key=lambda c: chosen in c[1:]):
                if wins(needed - {condition}):
                    needed = needed - {condition}
            found[:] = [one for one in found if not needed <= one] + [needed]
            if len(found) > MAX_ALTERNATIVES:
                raise UnsupportedModelError(
                    f"a class among {count} can win in more than {MAX_ALTERNATIVES} ways: take the"
                    " points where it wins against each other class (one_vs_one_from_sklearn)"
                )
            return
        (kind, first, second), *rest = left
        explore(known | {(kind, first, second)}, rest)
        explore(known | {(kind, second, first)}, rest)

    conditions: list[Condition] = [("pair", i, j) for i, j in pairs]
    if break_ties:
        conditions += [("sum", chosen, k) for k in others]
    explore(frozenset(), conditions)
    return tuple(tuple(sorted(one)) for one in found)
