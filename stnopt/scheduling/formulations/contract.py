"""What every formulation provides: the contract between them and `stnopt.scheduling.model`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pyomo.environ as pyo
    from pyomo.core.base.block import BlockData

    from stnopt.plant.network import Network
    from stnopt.plant.orders import Order
    from stnopt.plant.problem import Delivery
    from stnopt.scheduling.formulations.given import Given

#: By task, unit, event and span: start and size.
Runs = dict[tuple[str, str, int, int], tuple[float, float]]


class Build(Protocol):
    """Build a model with all that no objective or demand is needed for, and its tables.

    The model has the expressions ``total_size[task, unit]`` (all batches together) and
    ``n_batches[task, unit]``, and ``latest_finish``, a variable fixed to the horizon. The tables
    are whatever the formulation looks up later; they are kept on the model's handle.
    """

    def __call__(
        self, network: Network, *, horizon: float, n_events: int, max_span: int, given: Given
    ) -> tuple[pyo.ConcreteModel, object]:
        """Build them."""


class Serve(Protocol):
    """Take deliveries and orders from the stock, in place of all former ones.

    The model then has a block ``deliveries`` with ``ordered[order]`` and ``late[order]``.
    """

    def __call__(
        self,
        m: BlockData,
        deliveries: Iterable[Delivery],
        orders: Iterable[Order],
        *,
        may_miss: bool,
    ) -> None:
        """Take them."""


class FreeMakespan(Protocol):
    """Let the schedule end before the horizon."""

    def __call__(self, m: BlockData) -> None:
        """Free it."""


class ReadRuns(Protocol):
    """Read start and size of every batch that runs in a solution, empty ones too."""

    def __call__(self, m: BlockData) -> Runs:
        """Read them."""


class SetStructure(Protocol):
    """Set (not fix) the binaries that say which batches run."""

    def __call__(
        self, m: BlockData, runs: Mapping[tuple[str, str, int, int], tuple[float, float]]
    ) -> None:
        """Set them."""


class ReadParts(Protocol):
    """Read, by order, when how much of it is delivered in a solution."""

    def __call__(self, m: BlockData) -> dict[str, list[tuple[float, float]]]:
        """Read them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Formulation:
    """A formulation: its name, what it supports, and the functions that speak its language.

    Attributes
    ----------
    name : str
    supports : frozenset of str
        Rules (`stnopt.plant.demands`); every other one is refused by name.
    build, free_makespan, read_runs, set_structure : callable
    serve, read_parts : callable or None
        None: it has no equations for deliveries and orders.
    arrivals_as_batches, steps_as_batches, state_in_units : bool
        How what is given is put into its network (`stnopt.scheduling.formulations.given`).
    """

    name: str
    supports: frozenset[str]
    build: Build
    free_makespan: FreeMakespan
    read_runs: ReadRuns
    set_structure: SetStructure
    serve: Serve | None = None
    read_parts: ReadParts | None = None
    arrivals_as_batches: bool = False
    steps_as_batches: bool = False
    state_in_units: bool = True
