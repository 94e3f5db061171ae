"""What a reader says of a bad file."""

from __future__ import annotations

import pytest

from stnopt.errors import InvalidInputError, InvalidNetworkError
from stnopt.plant import read_network, read_problem

REFUSES_WITH = {read_network: InvalidNetworkError, read_problem: InvalidInputError}


def problems_of(read, text, folder, suffix=".yaml"):
    """The problems of a file with this text; the error names the file."""
    path = folder / f"case{suffix}"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(REFUSES_WITH[read]) as caught:
        read(path)
    assert caught.value.source == str(path)
    assert str(path) in str(caught.value)
    return caught.value.problems


def one_problem_of(read, good, old, new, folder):
    """The only problem of a good file in which a text, once there, is replaced."""
    assert good.count(old) == 1, "the row no longer changes the file"
    problems = problems_of(read, good.replace(old, new), folder)
    assert len(problems) == 1, problems
    return problems[0]
