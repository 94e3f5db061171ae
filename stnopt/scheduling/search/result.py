"""What a search for a schedule found, what is proven of it, and what stopped it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from stnopt.solvers.result import SolveResult, Status, relative_gap_between

if TYPE_CHECKING:
    from stnopt.scheduling.schedule import Schedule

Scope = Literal["these event points", "any schedule"]
#: Why a search ended: nothing was left to prove; a limit of the caller's came first; neither more
#: event points nor longer spans gave more; the event points that the caller chose were solved.
Stopped = Literal["proven", "time limit", "no further gain", "given event points", "interrupted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What has been proven about a schedule, and for what.

    Attributes
    ----------
    scope : {"these event points", "any schedule"}
        Whether `bound` holds for schedules on this many event points with this span, or for every
        schedule of the plant, whatever its event points. "any schedule" is said only where that
        bound lies within the relative gap of the schedule, or where no schedule exists at all.
    n_events, max_span : int
    bound : float or None
        No schedule in that scope is better.
    any_schedule_bound : float or None
        No schedule at all is better. Known also where it is too far from the schedule to close the
        gap; None if nothing was proven.
    """

    scope: Scope
    n_events: int
    max_span: int
    bound: float | None
    any_schedule_bound: float | None = None


class Attempt(NamedTuple):
    """One solve of a search, and what it cost.

    Attributes
    ----------
    n_events, max_span : int
        For "time_grid" and "intervals": how many intervals, and 0.
    status : Status
    objective : float or None
    seconds : float
        Building and solving.
    formulation : {"unit_events", "state_sequence", "time_grid", "intervals", "long_horizon"}
        The last three know no event points: what they prove holds for any schedule.
    """

    n_events: int
    max_span: int
    status: Status
    objective: float | None
    seconds: float
    formulation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSearch:
    """The best schedule found, if any, and how it was found.

    Attributes
    ----------
    schedule : Schedule or None
        Replayed at the horizon that was asked, and free of violations.
    result : SolveResult
        Its objective is the schedule's own value, recomputed from its batches. INFEASIBLE only
        where no schedule exists at all, or none on the event points that the caller chose.
    proof : Proof
    n_events, max_span : int
        Of the model behind `result`. If that has no event points (a time grid, or intervals): those
        on which the unit-event model can describe the schedule.
    tried : tuple of Attempt
        Every solve of the search, in order. Some were asked for something better only: INFEASIBLE
        there means that nothing better exists on those event points.
    search_time, proof_time : float
        Seconds until the schedule was found, and seconds spent after that on showing that there is
        none better.
    stopped : {"proven", "time limit", "no further gain", "given event points", "interrupted"}
        What ended the search. "proven": nothing is left to prove for any schedule. "no further
        gain": the search's own rule, without a time limit: neither one more event point nor spans
        longer by one and by two gave anything better.
    missing, missing_bound : float or None
        Under "tardiness": the priority-weighted share of the orders that this schedule misses, and
        what every schedule misses at least. The objective is the lateness at that share.
    """

    schedule: Schedule | None
    result: SolveResult
    proof: Proof
    n_events: int
    max_span: int
    tried: tuple[Attempt, ...]
    search_time: float = 0.0
    proof_time: float = 0.0
    stopped: Stopped = "no further gain"
    missing: float | None = None
    missing_bound: float | None = None

    def __repr__(self) -> str:
        found = "no schedule" if self.schedule is None else repr(self.schedule)
        numbers = {"objective": self.result.objective, "bound": self.bound, "gap": self.gap}
        told = [f"{what} {value:.6g}" for what, value in numbers.items() if value is not None]
        facts = ", ".join([self.result.status.value, *told, f"stopped: {self.stopped}"])
        return f"{type(self).__name__}({found}, {facts})"

    def _repr_html_(self) -> str:
        """Return the schedule and what is proven of it, as notebooks show it."""
        from stnopt.page.notebook import show_search

        return show_search(self)

    @property
    def bound(self) -> float | None:
        """What no schedule at all is better than; None if nothing was proven."""
        return self.proof.any_schedule_bound

    @property
    def gap(self) -> float | None:
        """``|objective - bound| / |objective|`` for any schedule; None where one is unknown."""
        return relative_gap_between(self.result.objective, self.bound)
