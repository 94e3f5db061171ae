"""The best pattern that repeats: relaxations rounded on rings of many lengths, and what is near.

References
----------
A few good solutions that new ones start from: Glover, Laguna & Marti (2000), Control and
Cybernetics 29, 653 (scatter search and path relinking).
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from stnopt.scheduling.search.long_horizon.cycle import (
    Pattern,
    Ring,
    bend,
    lengths_of_cycles,
    near_pattern,
)
from stnopt.scheduling.search.long_horizon.dive import dive
from stnopt.scheduling.search.long_horizon.restrict import restrict
from stnopt.solvers.linear_program import fix_integers, solve_program

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from stnopt.scheduling.search.long_horizon.grid import Grid

#: So many of the best patterns are kept, one for each length on each grid, to start from.
_KEPT = 4
#: Shares of the time: for new patterns, for those near known ones, for better parts of known ones.
_SHARES = {"new": 0.4, "near": 0.2, "part": 0.4}
#: New patterns have lengths that good ones have, with this probability.
_GOOD_LENGTHS = 0.5
#: Near a pattern is within so many steps, in a cycle that is so many times as long.
_REACHES, _STRETCH = (1, 2, 3), (0.86, 1.06)
#: Rings with more batches to choose from are not looked at near a pattern.
_MOST_NEAR = 1_500
#: A dive may take this share of the time, and so many seconds; so many times as long where
#: that was too short for all of them.
_DIVE_SHARE, _LEAST_DIVE, _LONGER = 0.15, 0.5, 4.0
#: A part may take this share of the time, within limits in seconds.
_PART_SHARE, _LEAST_PART, _MOST_PART = 0.03, 0.3, 2.0
_GAP = 5e-4
#: Relative gain that counts.
_GAIN = 1e-6


def find_patterns(
    grids: Sequence[Grid],
    *,
    seconds: float,
    clock: Callable[[], float],
    random: np.random.Generator,
    least: float = 0.0,
    known: Sequence[Pattern] = (),
    should_stop: Callable[[], bool] | None = None,
) -> list[Pattern]:
    """Look for patterns of which repetitions are worth much per unit of time.

    Parameters
    ----------
    grids : sequence of Grid
        Of a problem without orders, on several widths: rings of the first are looked at whole, of
        the others near known patterns.
    seconds : float
        By `clock`.
    clock : callable
    random : numpy Generator
    least : float
        A pattern that is worth no more per unit of time is none; where no length of cycles has one
        at first, the search ends.
    known : sequence of Pattern
        What was found before: it goes on from there.
    should_stop : callable, optional
        Asked between two tries.

    Returns
    -------
    list of Pattern
        Some of the best, the best first; empty without grids, and where nothing is worth repeating.
    """
    if not grids:
        return []
    first = grids[0]
    lengths = lengths_of_cycles(first.n_steps, len(first.modes), first.longest)
    search = _PatternSearch(
        grids=grids,
        seconds=seconds,
        least=least,
        clock=clock,
        random=random,
        best=list(known),
    )
    begun = clock()
    turn, used = [] if known else list(lengths), dict.fromkeys(_SHARES, 0.0)
    while (now := clock()) < begun + seconds:
        if should_stop and should_stop():
            break
        if not (turn or search.best):
            if not search.cut or search.longer > 1.0:
                break
            turn, search.longer = list(lengths), _LONGER
        kind = min(_SHARES, key=lambda each: used[each] / _SHARES[each])
        if turn:
            search.try_new(turn.pop(0))
            kind = ""
        elif kind == "new":
            search.try_new(search.choose_length(lengths))
        elif kind == "near":
            search.try_near(search.choose(), int(random.integers(len(grids))))
        else:
            search.try_part(search.choose())
        if kind:
            used[kind] += clock() - now
    return search.best


@dataclass(slots=True, kw_only=True)
class _PatternSearch:
    """The best patterns so far, the best first, and the rings that were bent."""

    grids: Sequence[Grid]
    seconds: float
    least: float
    clock: Callable[[], float]
    random: np.random.Generator
    best: list[Pattern] = field(default_factory=list)
    rings: dict[tuple[int, int], Ring] = field(default_factory=dict)
    longer: float = 1.0  # dives than usual
    cut: bool = False  # dives, by their time

    def ring(self, number: int, length: int) -> Ring:
        """Bend a grid, once for each length."""
        key = (number, length)
        if key not in self.rings:
            self.rings[key] = bend(self.grids[number], length)
        return self.rings[key]

    def choose(self) -> Pattern:
        """Draw one of the patterns, the better the likelier."""
        return self.best[min(int(self.random.exponential()), len(self.best) - 1)]

    def choose_length(self, lengths: Sequence[int]) -> int:
        """Draw a length of cycles: as often as not that of a pattern on the same grid."""
        good = [each.ring.length for each in self.best if each.ring.length in lengths]
        often = good and self.random.random() < _GOOD_LENGTHS
        return int(self.random.choice(good if often else lengths))

    def offer(self, pattern: Pattern) -> None:
        """Keep a pattern if it is one of the best, and the best of its length on its grid."""
        if not pattern.is_worth_something or pattern.rate <= self.least:
            return
        alike = [each for each in self.best if each.ring is pattern.ring]
        if alike and alike[0].rate >= pattern.rate:
            return
        others = [each for each in self.best if each.ring is not pattern.ring]
        self.best = sorted([*others, pattern], key=lambda each: each.rate, reverse=True)[:_KEPT]

    def try_new(self, length: int) -> None:
        """Round the relaxation of a ring of the first grid, from any point of the cycle on."""
        ring = self.ring(0, length)
        self.dive(ring, np.ones(len(ring.run), dtype=bool))

    def try_near(self, pattern: Pattern, number: int) -> None:
        """Round the relaxation of what is near a pattern, in a longer or shorter cycle."""
        stretched = pattern.ring.hours * self.random.uniform(*_STRETCH)
        grid = self.grids[number]
        length = round(stretched / grid.width)
        small = length * len(grid.modes) <= _MOST_NEAR
        if small and grid.longest <= length <= grid.n_steps:
            ring = self.ring(number, length)
            reach = int(self.random.choice(_REACHES))
            self.dive(ring, near_pattern(pattern, ring, reach=reach))

    def dive(self, ring: Ring, among: NDArray[np.bool_]) -> None:
        """Round the relaxation of a ring with some of its batches."""
        base = np.zeros(len(ring.program.cost))
        free = np.ones(len(base), dtype=bool)
        free[ring.run] = free[ring.size] = among
        part = restrict(ring.program, base, np.flatnonzero(free))
        place = np.cumsum(free) - 1
        start = (ring.start[among] - int(self.random.integers(ring.length))) % ring.length
        seconds = self.longer * max(_LEAST_DIVE, _DIVE_SHARE * self.seconds)
        begun = self.clock()
        found = dive(
            part.program,
            runs=place[ring.run[among]],
            starts=start,
            units=ring.unit[among],
            look_ahead=int(self.random.integers(1, ring.grid.longest + 1)),
            seconds=seconds,
            clock=self.clock,
        )
        self.cut |= self.clock() - begun >= seconds
        if found is not None:
            x = part.expand(found)
            x[ring.run] = np.round(x[ring.run])
            self.offer(Pattern(ring=ring, x=x))

    def try_part(self, pattern: Pattern) -> None:
        """Free a part of the ring."""
        ring, x = pattern.ring, pattern.x
        moving = self.choose_part(ring)
        free = np.ones(len(x), dtype=bool)
        free[ring.run], free[ring.size] = moving, moving | pattern.runs
        part = restrict(ring.program, x, np.flatnonzero(free))
        found = solve_program(
            part.program,
            time_limit=float(np.clip(_PART_SHARE * self.seconds, _LEAST_PART, _MOST_PART)),
            relative_gap=_GAP,
            start=part.start,
            heuristic_effort=0.2,
        )
        best = float(ring.program.cost @ x)
        if found.x is not None and (found.objective or 0.0) > best + _GAIN * abs(best):
            x = part.expand(fix_integers(part.program, found.x))
            self.offer(replace(pattern, x=x))

    def choose_part(self, ring: Ring) -> NDArray[np.bool_]:
        """Choose the batches of some units, or those of a third of the cycle."""
        units = np.unique(ring.unit)
        if self.random.random() < 0.5:
            size = max(2, len(units) // 3)
            chosen = self.random.choice(units, size=size, replace=len(units) < 2)
            return np.isin(ring.unit, chosen)
        after_start = (ring.start - int(self.random.integers(ring.length))) % ring.length
        window = max(int(ring.steps.max(initial=1)) + 1, ring.length // 3)
        return (after_start < window) | ((after_start + ring.steps) % ring.length < window)
