"""Values that do not fit an argument, made from its annotation; and what a public name may be."""

from __future__ import annotations

import inspect
import math
import re
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

#: By its label, a value; every argument is given those that its annotation does not allow.
VALUES: dict[str, Any] = {
    "None": None,
    "True": True,
    "NaN": math.nan,
    "inf": math.inf,
    "-inf": -math.inf,
    "1.5": 1.5,
    "10**400": 10**400,
    "complex": 1j,
    "text": "no such thing",
    "empty text": "",
    "two lines": "a\nb",
    "zero byte": "a\0b",
    "bytes": b"x",
    "[]": [],
    "()": (),
    "{}": {},
    "[None]": [None],
    "[True]": [True],
    "[NaN]": [math.nan],
    "{1: 2}": {1: 2},
    "{'A': None}": {"A": None},
    "{'A': NaN}": {"A": math.nan},
    "{'A': True}": {"A": True},
    "{'A': 'x'}": {"A": "x"},
    "empty table": pd.DataFrame(),
    "object": object(),
    "type": int,
}
#: Labels that an annotation does allow, as far as the annotation can say it.
_ALLOWED: dict[str, set[str]] = {
    "None": {"None"},
    "bool": {"True"},
    "int": set(),
    "float": {"1.5"},
    "str": {"text"},
}
#: Empty containers that mean the same as leaving the argument out, where it may be left out.
_NOTHING: dict[str, set[str]] = {
    "Mapping": {"{}"},
    "tuple": {"()", "[]"},
    "Iterable": {"()", "[]"},
    "Collection": {"()", "[]"},
}


@dataclass(frozen=True)
class Call:
    """A public callable with arguments that fit, and what else it takes.

    Attributes
    ----------
    function : callable
    fitting : mapping
        A value per argument of its signature.
    legal : mapping
        Per argument: labels of values that it takes though its annotation does not say so, each
        with the reason.
    named : mapping
        Per argument: a pattern of other words by which errors may call it.
    """

    function: Callable[..., Any]
    fitting: Mapping[str, Any]
    legal: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    named: Mapping[str, str] = field(default_factory=dict)


def parts_of(annotation: str) -> list[str]:
    """Alternatives of an annotation, by the name in front of their brackets."""
    parts, depth, start = [], 0, 0
    for place, letter in enumerate(annotation):
        depth += (letter in "[(") - (letter in "])")
        if letter == "|" and depth == 0:
            parts.append(annotation[start:place])
            start = place + 1
    parts.append(annotation[start:])
    return [re.split(r"[\[.]", p.strip().strip("'\""))[0] for p in parts]


def wrong_for(parameter: inspect.Parameter) -> list[str]:
    """Labels of the values that an argument's annotation does not allow."""
    parts = parts_of(str(parameter.annotation))
    allowed = {label for part in parts for label in _ALLOWED.get(part, ())}
    if parameter.default is not inspect.Parameter.empty:
        allowed |= {label for part in parts for label in _NOTHING.get(part, ())}
    return [label for label in VALUES if label not in allowed]


def parameters_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Arguments of a callable by name."""
    return dict(inspect.signature(function).parameters)


def public_callables(
    module: ModuleType, names: Mapping[str, Any]
) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Public functions, classes, and methods that take an argument, by `name` or `Class.name`."""
    for name in sorted(names):
        thing = getattr(module, name)
        if not callable(thing) or (isinstance(thing, type) and issubclass(thing, BaseException)):
            continue
        yield name, thing
        if not isinstance(thing, type):
            continue
        for base in thing.__mro__:
            if not base.__module__.startswith(module.__name__):
                continue
            for method, found in vars(base).items():
                plain = getattr(found, "__func__", found)
                if method.startswith("_") or not inspect.isfunction(plain):
                    continue
                own = 0 if isinstance(found, staticmethod) else 1
                if len(inspect.signature(plain).parameters) > own:
                    yield f"{name}.{method}", plain


def faults_of(call: Call, ours: type[Exception]) -> tuple[list[str], int]:
    """Calls with one wrong value each that do not end as they should, and how many there were."""
    faults, n_calls = [], 0
    signature = parameters_of(call.function)
    for argument, parameter in signature.items():
        if argument in ("self", "cls") or parameter.kind is parameter.VAR_KEYWORD:
            continue
        legal = call.legal.get(argument, {})
        for label in wrong_for(parameter):
            n_calls += 1
            said = _refusal(call, argument, VALUES[label], ours)
            word = call.named.get(argument)
            if said is None:
                if label not in legal:
                    faults.append(f"{argument} = {label}: taken without a word")
            elif isinstance(said, BaseException):
                faults.append(f"{argument} = {label}: {type(said).__name__}: {said}")
            elif label in legal:
                faults.append(f"{argument} = {label}: the table calls it legal, refused: {said}")
            elif not re.search(rf"\b{argument}\b", said) and not (word and re.search(word, said)):
                faults.append(f"{argument} = {label}: is not named: {said}")
    return faults, n_calls


def _refusal(
    call: Call, argument: str, value: object, ours: type[Exception]
) -> str | BaseException | None:
    """What is said to one wrong value: None if nothing, an exception that is not ours as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            call.function(**{**call.fitting, argument: value})
        except ours as error:
            return str(error)
        except Exception as error:  # the caller reports it
            return error
    return None
