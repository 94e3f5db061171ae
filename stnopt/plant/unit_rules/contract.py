"""What a key of a unit in a plant file must know: how it is read, checked, written and told.

A new key is a class in a file of its own and, in `stnopt.plant.rules`, a field of `Unit` and a
place in `UNIT_RULES`. All that speaks of units in general takes it from there: the reader, the
fingerprint, the list of rules that formulations are held against, tables and the JSON Schema.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from stnopt.plant.rules import Unit
    from stnopt.plant.tables.sheet import Sheet

#: A row of a table, by column; what is empty is left out.
Row = dict[str, Any]


class UnitRule(ABC):
    """A key under `units:`.

    Attributes
    ----------
    key : str
        In the file, in tables of rules, and of the field of `Unit`.
    clause : str
        What a unit that has it is told by, after its name.
    only_restricts : bool
        Whether every schedule that keeps it is still one without it, of the same value.
    sheet : Sheet
        The table it is written in; the first column is the unit.
    """

    key: str
    clause: str
    only_restricts: bool = True
    sheet: Sheet

    @abstractmethod
    def read(self, value: object, owner: str, problems: list[str]) -> dict[str, Any]:
        """Return the fields of `Unit` that a file's value stands for, without the unreadable."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """Return what a file's value looks like, as JSON Schema."""

    @abstractmethod
    def settle(self, unit: Unit, owner: str, problems: list[str]) -> None:
        """Check the unit's field, and store it as it is to be kept."""

    @abstractmethod
    def written(self, unit: Unit) -> Any:
        """Return the value as a file has it; what is false in Python where nothing is said."""

    @abstractmethod
    def rows(self, value: Any) -> list[Row]:
        """Return a file's value as rows of the table, without the unit."""

    @abstractmethod
    def add_row(self, entry: dict[str, Any], row: Row) -> None:
        """Add a row of the table to a unit's entry in a file."""

    def tasks(self, unit: Unit) -> Iterable[str]:
        """Return the tasks that it names, each once; they must run on the unit."""
        return ()

    def times_before(self, unit: Unit, task: str) -> Iterable[float]:
        """Return how long before a batch of a task it may need the unit empty."""
        return ()

    def stand_in(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Return harmless fields that name the same tasks, for a unit that cannot be made."""
        return {}
