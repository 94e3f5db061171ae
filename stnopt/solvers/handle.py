"""What a model knows of itself that its equations do not say, kept with its block.

Some models are complete only together with what adds rows to them when an answer breaks a rule. A
handle says so, and travels with the block: into a larger model and into a clone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, cast

import pyomo.environ as pyo
from pyomo.core.base.block import BlockData

from stnopt.arguments import Kind

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

#: Which integers stay as they are where another incumbent is looked for.
Keep = Literal["all", "others", "nothing"]
_OWNER = "stnopt"
_KEY = "handle"
#: What an argument that is a model must be: a model, or a block of one.
MODEL = Kind("a Pyomo model", lambda value: isinstance(value, BlockData))


class ModelHandle(Protocol):
    """What `solve` has to know of a block."""

    @property
    def weak_relaxation(self) -> bool:
        """Whether its rows are big-M rows, on which cuts at the nodes do not pay."""

    def add_violated(self) -> bool:
        """Add the rows that the present values break; say whether there were any."""

    def breaks_rules(self) -> bool:
        """Whether the present values break a rule that the rows do not have yet; adds nothing."""

    def restricted(self, *, keep: Keep) -> AbstractContextManager[None] | None:
        """Keep limits in the block under which what the present values break mostly holds.

        They may cut off any solution, and integers are kept: all, or those that have no part in
        what is broken, or none. None if nothing is broken, or there are no such limits, or this
        would keep what another word keeps.
        """

    def tightened(self) -> AbstractContextManager[None]:
        """Keep rows in the block that cut off some solutions and no optimum of it.

        Entered only where the block is the whole model: a larger one may ask for what they cut off.
        """


def attach_handle(block: BlockData, handle: ModelHandle) -> None:
    """Make a handle part of a block."""
    block.private_data(_OWNER)[_KEY] = handle


def handle_of(block: BlockData) -> ModelHandle | None:
    """Return the handle of a block itself; None if it has none."""
    return cast("ModelHandle | None", block.private_data(_OWNER).get(_KEY))


def find_handles(model: BlockData) -> list[tuple[BlockData, ModelHandle]]:
    """List the active blocks with a handle, at any depth."""
    blocks = model.block_data_objects(active=True, descend_into=pyo.Block)
    found = ((block, handle_of(block)) for block in blocks)
    return [(block, handle) for block, handle in found if handle is not None]
