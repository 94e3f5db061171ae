"""A table that a part of a plant is written in, and its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "number", "time", "flag", "list", "any"]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Parameters
    ----------
    name : str
    kind : {"text", "number", "time", "flag", "list", "any"}
        A time is a number, or a clock time where the problem has a `start`; a flag is yes or no; a
        list is separated by commas.
    required : bool
        Whether a row without it means nothing.
    help : str
        What it holds, for the template.
    """

    name: str
    kind: Kind
    required: bool = False
    help: str = ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table: a sheet of a workbook, or a CSV file of that name.

    Parameters
    ----------
    name : str
    help : str
        What a row stands for, for the template.
    columns : tuple of Column
    key : tuple of str
        Columns that tell rows apart; two rows with the same are a mistake. Empty where rows may
        repeat.
    """

    name: str
    help: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the columns."""
        return tuple(column.name for column in self.columns)
