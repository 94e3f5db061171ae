"""Read plant and problem files (YAML or JSON), and the examples that ship with the library."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from stnopt.arguments import TEXT, check_arguments, optional
from stnopt.errors import InvalidInputError, InvalidNetworkError
from stnopt.plant.checks import did_you_mean
from stnopt.plant.problem import Problem
from stnopt.plant.read_asked import is_plant_alone, read_problem_document
from stnopt.plant.read_now import holds_no_state, read_now_document
from stnopt.plant.read_plant import read_plant_document
from stnopt.plant.source import EXAMPLES, list_examples, open_source
from stnopt.plant.state import PlantState, state_problems, unknown_names
from stnopt.plant.tables.read import TablesDocument

if TYPE_CHECKING:
    from pathlib import Path

    from stnopt.plant.network import Network


def read_network(source: Path | str | Mapping[str, Any]) -> Network:
    """Read a plant from a file, or from the mapping that such a file holds.

    Parameters
    ----------
    source : path, str or mapping
        A path to a `.yaml`, `.yml` or `.json` file, to tables (a `.xlsx` workbook or a folder of
        CSV files), or the mapping itself, which is left as it is. The plant is at the top level or
        under `plant:`; there, `problem:` and `reference:` may stand beside it and are not read
        here.

    Returns
    -------
    Network
        The checked plant.

    Raises
    ------
    InvalidNetworkError
        With every problem of the file at once, each naming its element.
    """
    problems: list[str] = []
    document, where = open_source(source, problems)
    with _in_cells(document):
        return read_plant_document(document, problems, where)


def read_problem(
    source: Path | str | Mapping[str, Any], *, default: Problem | None = None
) -> Problem:
    """Read what is asked of a plant from a file, or from the mapping that such a file holds.

    Parameters
    ----------
    source : path, str or mapping
        A path to a `.yaml`, `.yml` or `.json` file, or the mapping itself. The problem is under
        `problem:`, beside `plant:` or alone, or it is the whole file. Its keys, all optional, are
        `objective`, `horizon`, `demand` (the targets), `sense` and `deliveries`, a list of
        `{state: ..., time: ..., amount: ...}`. The old `horizon_upper_bound` is read as `horizon`
        for one more release, with a `DeprecationWarning`.
    default : Problem, optional
        What to return where the source is a plant, and no problem stands beside it.

    Returns
    -------
    Problem
        The checked problem. Where the file holds the plant too, the names of states were looked
        up in it.

    Raises
    ------
    InvalidInputError
        With every problem of the file at once, each naming its element.
    """
    check_arguments(default=(default, optional(Problem)))
    problems: list[str] = []
    try:
        document, where = open_source(source, problems)
    except InvalidNetworkError as error:
        raise InvalidInputError(error.problems, source=error.source) from error
    if default is not None and is_plant_alone(document):
        return default
    problem = read_problem_document(document, problems)
    with _in_cells(document):
        if problem is None or problems:
            raise InvalidInputError(problems, source=where)
    return problem


def read_state(
    source: Path | str | Mapping[str, Any], *, default: PlantState | None = None
) -> PlantState:
    """Read the plant's state at time 0 from a file, or from the mapping that such a file holds.

    Parameters
    ----------
    source : path, str or mapping
        A path to a `.yaml`, `.yml` or `.json` file, or the mapping itself. The state is under
        `now:`, beside `plant:` and `problem:` or alone, or it is the whole file.
    default : PlantState, optional
        What to return where the source is a plant or a problem, and no state stands beside it.

    Returns
    -------
    PlantState
        The checked state. Where the file holds the plant too, it fits that plant.

    Raises
    ------
    InvalidInputError
        With every problem of the file at once, each naming its element.
    """
    check_arguments(default=(default, optional(PlantState)))
    problems: list[str] = []
    try:
        document, where = open_source(source, problems)
    except InvalidNetworkError as error:
        raise InvalidInputError(error.problems, source=error.source) from error
    if default is not None and holds_no_state(document):
        return default
    state = read_now_document(document, problems)
    if state is not None and isinstance(document, Mapping) and "plant" in document:
        try:
            network = read_plant_document(document, [], where)
        except InvalidNetworkError:  # `read_network` says what is wrong with it
            told = unknown_names(state, document["plant"])
        else:
            told = state_problems(state, network)
        problems += [f"now: {problem}" for problem in told]
    with _in_cells(document):
        if state is None or problems:
            raise InvalidInputError(problems, source=where)
    return state


def read_plant_file(source: Path | str) -> tuple[Network, Problem | None, PlantState | None]:
    """Read all sections of a file: the plant, what is asked of it and its state at time 0.

    Parameters
    ----------
    source : path or str
        As for `read_network`.

    Returns
    -------
    network, problem, state
        The last two are None where the file has no such section.

    Raises
    ------
    InvalidInputError
        With every problem of all sections at once.
    """
    problems: list[str] = []
    try:
        document, where = open_source(source, problems)
    except InvalidNetworkError as error:
        raise InvalidInputError(error.problems, source=error.source) from error
    content = document if isinstance(document, Mapping) else {}
    found: list[Any] = []
    for section, read in (("plant", read_network), ("problem", read_problem), ("now", read_state)):
        if section not in content and section != "plant":
            found.append(None)
            continue
        try:
            found.append(read(content))
        except (InvalidNetworkError, InvalidInputError) as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise InvalidInputError(problems, source=where)
    network, problem, state = found
    return network, problem, state


@contextlib.contextmanager
def _in_cells(document: object) -> Iterator[None]:
    """Say of every problem of tables in which cell it stands."""
    try:
        yield
    except (InvalidNetworkError, InvalidInputError) as error:
        if not isinstance(document, TablesDocument):
            raise
        located = [document.located(problem) for problem in error.problems]
        raise type(error)(located, source=error.source) from error


def load_example(name: str) -> Network:
    """Read one of the plants that ship with the library.

    Parameters
    ----------
    name : str
        One of `list_examples()`.

    Raises
    ------
    InvalidInputError
        If there is no example of that name.
    """
    examples = list_examples()
    check_arguments(name=(name, TEXT))
    if name not in examples:
        hint = did_you_mean(name, examples)
        raise InvalidInputError(f"name: no example {name!r}{hint}; there are {', '.join(examples)}")
    return read_network(EXAMPLES / f"{name}.yaml")
