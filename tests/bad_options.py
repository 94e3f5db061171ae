"""Wrong values for each option and argument of a command, drawn from its parser."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

#: No whole number; no number at all, or one that nothing can be done with.
NOT_WHOLE = ("x", "1.5", "nan", "1e3", "")
NOT_A_NUMBER = ("x", "nan", "1,5", "")
#: What lies beneath a file can neither be read nor written; "" is an unset variable of a shell.
NOT_A_NAME = ("text.txt/x", "")


class BadLine(NamedTuple):
    """A command line with one wrong value."""

    option: str
    value: str
    line: list[str]

    def is_named_in(self, said: str) -> bool:
        """Whether the option, the argument it is in Python, or its value is named."""
        name = self.option.lstrip("-")
        return (
            name in said
            or name.replace("-", "_") in said
            or (self.value != "" and self.value in said)
        )


def each_command(
    parser: argparse.ArgumentParser, words: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], argparse.ArgumentParser]]:
    """Every command with its own parser, such as ("alarm", "yield")."""
    groups = [a for a in parser._actions if isinstance(a, argparse._SubParsersAction)]
    if not groups:
        yield words, parser
    for group in groups:
        for name, inner in group.choices.items():
            yield from each_command(inner, (*words, name))


def bad_lines(
    words: Sequence[str],
    parser: argparse.ArgumentParser,
    right: Sequence[str],
    more: Mapping[str, Sequence[str]],
) -> Iterator[BadLine]:
    """Replace one value at a time of a right command line by wrong ones.

    `right` has the positional arguments first. What is wrong follows from the kind of an option;
    `more` adds what else is wrong for one of that name.
    """
    n_first = next((i for i, word in enumerate(right) if word.startswith("--")), len(right))
    first, options = list(right[:n_first]), list(right[n_first:])
    position = 0
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction | argparse._StoreTrueAction):
            continue
        name = action.option_strings[-1] if action.option_strings else action.dest
        for value in dict.fromkeys((*_wrong(action), *more.get(name, ()))):
            if action.option_strings:
                kept = _without(options, action.option_strings)
                many = action.nargs if isinstance(action.nargs, int) else 1
                given = [name, *[value] * many] if many > 1 else [f"{name}={value}"]
                yield BadLine(name, value, [*words, *first, *kept, *given])
            else:
                put = [*first[:position], value, *first[position + 1 :]]
                yield BadLine(name, value, [*words, *put, *options])
        position += not action.option_strings


def _wrong(action: argparse.Action) -> tuple[str, ...]:
    if action.type is int:
        return NOT_WHOLE
    if action.type is float:
        return NOT_A_NUMBER
    if action.choices is not None:
        return ("nonsense", "")
    return NOT_A_NAME


def _without(options: list[str], names: Sequence[str]) -> list[str]:
    """Leave out one of the options and its values."""
    kept, leaves = [], False
    for word in options:
        if word.startswith("--"):
            leaves = word in names
        if not leaves:
            kept.append(word)
    return kept
