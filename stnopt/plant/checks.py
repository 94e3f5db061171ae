"""How a noun checks what it is made of: names, numbers, mappings; every problem, not the first."""

from __future__ import annotations

import difflib
import math
from collections.abc import ItemsView, Iterable, Iterator, KeysView, Mapping, ValuesView
from dataclasses import MISSING, fields
from numbers import Real
from reprlib import repr as shortened
from typing import Any, TypeVar

from stnopt.arguments import article, is_listed
from stnopt.errors import InvalidNetworkError

K = TypeVar("K")
V = TypeVar("V")


class ReadOnlyMapping(Mapping[K, V]):
    """A mapping that keeps its order and never changes; unlike a mapping proxy it can be pickled.

    Parameters
    ----------
    items : mapping
        Copied, so that later changes to it do not reach the noun that holds the copy.
    """

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V]) -> None:
        self._items = dict(items)

    def __getitem__(self, key: K) -> V:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    # those of the base class ask for one key after the other

    def __contains__(self, key: object) -> bool:
        return key in self._items

    def get(self, key: K, default: Any = None) -> Any:
        """Return the value of a key, or the default if there is none."""
        return self._items.get(key, default)

    def keys(self) -> KeysView[K]:
        """Return the keys in order."""
        return self._items.keys()

    def values(self) -> ValuesView[V]:
        """Return the values in order."""
        return self._items.values()

    def items(self) -> ItemsView[K, V]:
        """Return the pairs in order."""
        return self._items.items()

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return repr(self._items)


def name_problems(what: str, name: object) -> list[str]:
    """Find what keeps a name from being printed, written to a file and read back as it is."""
    if isinstance(name, str) and name and name.isprintable() and name == name.strip():
        return []
    return [
        f"{what} needs a name that is text, printable and without blanks around it, got {name!r}"
    ]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """End an error's sentence with the closest known word, or the empty text if none is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def checked_number(
    value: object,
    label: str,
    problems: list[str],
    *,
    least: float | None = None,
    above: float | None = None,
    finite: bool = True,
) -> float:
    """Return a value as a float; NaN, which no comparison holds for, with its problem if bad."""
    if isinstance(value, bool) or not isinstance(value, Real):
        problems.append(f"{label} must be a number, got {value!r}")
        return math.nan
    try:
        number = float(value) + 0.0  # minus zero becomes zero, so that equal plants hash equally
    except OverflowError:
        problems.append(f"{label} must be finite, got {shortened(value)}")
        return math.nan
    if math.isnan(number) or (finite and math.isinf(number)):
        problems.append(f"{label} must be finite, got {number}")
    elif least is not None and number < least:
        problems.append(f"{label} must be at least {least:g}, got {number:g}")
    elif above is not None and number <= above:
        problems.append(f"{label} must be more than {above:g}, got {number:g}")
    else:
        return number
    return math.nan


def store_number(
    noun: Any,
    name: str,
    owner: str,
    problems: list[str],
    *,
    least: float | None = None,
    above: float | None = None,
    finite: bool = True,
) -> float:
    """Check a noun's number and store it as a float; NaN, which no comparison holds for, if bad."""
    label = f"{owner}: {name}"
    value = checked_number(
        getattr(noun, name), label, problems, least=least, above=above, finite=finite
    )
    object.__setattr__(noun, name, value)
    return value


def store_steps(
    noun: Any, name: str, owner: str, problems: list[str], *, least: float, strictly: bool = True
) -> tuple[tuple[float, float], ...]:
    """Check a noun's list of (time, amount) pairs and store it; empty if it is bad.

    Times start at 0 or later and increase (`strictly`), or do not decrease.
    """
    given = getattr(noun, name)
    if not is_listed(given):
        problems.append(f"{owner}: {name} must be a list of pairs [time, amount], got {given!r}")
        return ()
    n_before = len(problems)
    steps: list[tuple[float, float]] = []
    for pair in given:
        if isinstance(pair, str) or not isinstance(pair, Iterable) or len(tuple(pair)) != 2:
            problems.append(f"{owner}: {name} needs pairs [time, amount], got {pair!r}")
            continue
        where = f"{owner}: {name} {list(pair)}"
        when, much = pair
        time = checked_number(when, f"{where}: its time", problems, least=0.0)
        amount = checked_number(much, f"{where}: its amount", problems, least=least)
        if steps and (time <= steps[-1][0] if strictly else time < steps[-1][0]):
            problems.append(
                f"{owner}: {name} at {time:g} comes after the one at {steps[-1][0]:g}; write them "
                "in order of time" + (", each time once" if strictly else "")
            )
        steps.append((time, amount))
    settled = tuple(steps) if len(problems) == n_before else ()
    object.__setattr__(noun, name, settled)
    return settled


def store_tuple(
    noun: Any, name: str, kind: type[V], owner: str, problems: list[str]
) -> tuple[V, ...]:
    """Check a noun's list of things of one kind and store it as a tuple, without what is none."""
    given = getattr(noun, name)
    if not is_listed(given):
        problems.append(f"{owner}: {name} must be a list, got {shortened(given)}")
        given = ()
    items = tuple(given)
    for item in items:
        if not isinstance(item, kind):
            problems.append(f"{owner}: {name}: expected {article(kind)}, got {shortened(item)}")
    settled = tuple(item for item in items if isinstance(item, kind))
    object.__setattr__(noun, name, settled)
    return settled


def copy_mapping(noun: Any, name: str, owner: str, problems: list[str]) -> dict[str, Any]:
    """Copy a noun's mapping without the keys that are not text; empty if it is no mapping."""
    given = getattr(noun, name)
    if not isinstance(given, Mapping):
        problems.append(f"{owner}: {name} must be a mapping, got {given!r}")
        return {}
    for key in given:
        problems.extend(name_problems(f"{owner}: an entry of {name}", key))
    return {key: value for key, value in given.items() if isinstance(key, str)}


def changed_fields(noun: Any, *, but: tuple[str, ...]) -> dict[str, Any]:
    """Fields whose value is not the default, in the order of declaration."""
    return {
        f.name: getattr(noun, f.name)
        for f in fields(noun)
        if f.name not in but and (f.default is MISSING or getattr(noun, f.name) != f.default)
    }


def refuse(problems: list[str]) -> None:
    """Raise what is wrong with a noun, if anything is."""
    if problems:
        raise InvalidNetworkError(problems)
