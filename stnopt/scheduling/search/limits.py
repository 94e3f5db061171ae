"""How long a search may take, on a clock that tests can replace."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stnopt.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Unless said otherwise, proving may take this many times as long as the search did, or this long.
_PROOF_SHARE = 3.0
_LEAST_PROOF_LIMIT = 20.0


@dataclass(slots=True, kw_only=True)
class SearchLimits:
    """Seconds for a search, and for the models without event points within it.

    Attributes
    ----------
    time_limit : float or None
        For the whole search.
    proof_limit : float or None
        For models without event points; 0 leaves them out. None: three times what the search has
        taken so far, at least 20 s.
    relative_gap : float
        Of each solve, and the least improvement that counts.
    uses_all : bool
        Whether the time is used until nothing is left to find or prove. Else a search that has a
        schedule ends where its own rule sees no further gain, as without a time limit.
    clock : callable
        Returns seconds.
    """

    time_limit: float | None = None
    proof_limit: float | None = None
    relative_gap: float = 1e-4
    uses_all: bool = True
    clock: Callable[[], float] = time.perf_counter
    started: float = field(init=False)
    proof_spent: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if self.time_limit is not None and not self.time_limit > 0:
            raise InvalidInputError(
                f"time_limit must be positive seconds or None, got {self.time_limit}"
            )
        if self.proof_limit is not None and not self.proof_limit >= 0:
            raise InvalidInputError(
                f"proof_limit must be seconds of at least 0, got {self.proof_limit}"
            )
        if not 0 <= self.relative_gap < 1:
            raise InvalidInputError(f"relative_gap must be in [0, 1), got {self.relative_gap}")
        self.started = self.clock()

    @property
    def elapsed(self) -> float:
        """Seconds since the search began."""
        return self.clock() - self.started

    @property
    def reached(self) -> bool:
        """Whether the time limit is reached."""
        return self.time_limit is not None and self.elapsed >= self.time_limit

    @property
    def remaining(self) -> float | None:
        """Seconds until the time limit, at least a little; None without one."""
        return None if self.time_limit is None else max(self.time_limit - self.elapsed, 0.01)

    def remaining_for_proof(self, share: float = 1.0) -> float:
        """Seconds that models without event points may still take; infinite if without limit."""
        limit = self.proof_limit
        if limit is None:
            limit = max(_LEAST_PROOF_LIMIT, _PROOF_SHARE * (self.elapsed - self.proof_spent))
        limit = share * limit - self.proof_spent
        if self.time_limit is not None:
            limit = min(limit, self.time_limit - self.elapsed)
        return limit


def seconds_or_none(limit: float) -> float | None:
    """Return a limit as a solver takes it: None for no limit, never 0 or less."""
    return None if limit == math.inf else max(limit, 0.01)
