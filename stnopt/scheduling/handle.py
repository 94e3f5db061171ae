"""A scheduling model's handle: its plant, what was asked of it, what can still be added."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stnopt.errors import InvalidInputError
from stnopt.solvers.handle import attach_handle, handle_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from pyomo.core.base.block import BlockData

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery
    from stnopt.plant.state import PlantState
    from stnopt.scheduling.formulations.given import Given
    from stnopt.solvers.handle import Keep


@dataclass(slots=True, kw_only=True, eq=False)
class SchedulingHandle:
    """What a scheduling model knows of itself; `solve` finds it at any depth of a larger model.

    Attributes
    ----------
    block : BlockData
        The model.
    network : Network
    horizon : float
        In the plant's time unit.
    formulation : str
    complete : callable or None
        Adds the rows that the present values break, and says whether there were any.
    broken : callable or None
        Says whether the present values break what `complete` would add.
    restrict : callable or None
        Returns a context in which few schedules overfill a storage, or None if the present values
        do not; batches are kept as `stnopt.solvers.handle.Keep` says.
    dominance : callable or None
        Returns a context in which rows are in the model that cut off some schedules and no best
        one, as long as nothing is asked that these rows change.
    weak_relaxation : bool
        Whether the rows are big-M rows.
    storage_limited, utilities_limited : set of str
        States whose capacity, utilities whose capacity has been added at every instant.
    own_components : frozenset of str
        What the formulation declared; all else was asked by the user.
    deliveries : tuple of Delivery
        What was last required of it.
    given : Given
        The plant with what is given in it, as the formulation sees it.
    tables : object
        What the formulation looks up of its model, in a class of its own.
    start : PlantState or None
        The plant at time 0.
    date : datetime or None
        When time 0 is.
    orders : tuple of Order
        What was last required of it; `may_miss`: whether any may be missing.
    """

    block: BlockData
    network: Network
    horizon: float
    formulation: str
    complete: Callable[[SchedulingHandle], bool] | None = None
    broken: Callable[[SchedulingHandle], bool] | None = None
    restrict: Callable[[SchedulingHandle, Keep], AbstractContextManager[None] | None] | None = None
    dominance: Callable[[BlockData], AbstractContextManager[None]] | None = None
    weak_relaxation: bool = False
    storage_limited: set[str] = field(default_factory=set)
    utilities_limited: set[str] = field(default_factory=set)
    own_components: frozenset[str] = frozenset()
    deliveries: tuple[Delivery, ...] = ()
    given: Given
    tables: object
    start: PlantState | None = None
    date: datetime | None = None
    orders: tuple[Order, ...] = ()
    may_miss: bool = False

    def add_violated(self) -> bool:
        """Add the rows that the present values break; say whether there were any."""
        return self.complete is not None and self.complete(self)

    def breaks_rules(self) -> bool:
        """Whether the present values break what `add_violated` would add."""
        return self.complete is not None and self.broken is not None and self.broken(self)

    def restricted(self, *, keep: Keep) -> AbstractContextManager[None] | None:
        """Return a context in which few schedules overfill a storage; None if this one does not."""
        if self.complete is None or self.restrict is None:
            return None
        return self.restrict(self, keep)

    def tightened(self) -> AbstractContextManager[None]:
        """Return a context in which the dominance rows are in the model."""
        return nullcontext() if self.dominance is None else self.dominance(self.block)

    @contextmanager
    def left_incomplete(self) -> Iterator[None]:
        """Add nothing inside the block: for a relaxation, whose values are no schedule's."""
        complete, self.complete = self.complete, None
        try:
            yield
        finally:
            self.complete = complete


def make_handle(handle: SchedulingHandle) -> SchedulingHandle:
    """Make a handle part of its model."""
    attach_handle(handle.block, handle)
    return handle


def scheduling_handle(model: BlockData) -> SchedulingHandle:
    """Return the handle of a scheduling model.

    Raises
    ------
    InvalidInputError
        A model that `build_scheduling_model` did not build.
    """
    handle = handle_of(model)
    if not isinstance(handle, SchedulingHandle):
        raise InvalidInputError(
            f"{getattr(model, 'name', model)!r} is no scheduling model: pass what "
            "build_scheduling_model returned (inside a larger model, that block)"
        )
    return handle
