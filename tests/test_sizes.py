"""Files and functions stay small enough to be read at once."""

from __future__ import annotations

import ast
import statistics
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("stnopt", "reactor_yield")
MEDIAN_FILE, LONGEST_FILE, LONGEST_FUNCTION = 300, 700, 80


def sources(package):
    return {p: p.read_text(encoding="utf-8") for p in sorted((ROOT / package).rglob("*.py"))}


def function_lengths(source):
    """Lines of every function, without those of its docstring."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first, docstring = node.body[0], 0
            if ast.get_docstring(node, clean=False) is not None:
                docstring = first.end_lineno - first.lineno + 1
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


def long_functions(source, most=LONGEST_FUNCTION):
    found = [(name, lines) for name, lines in function_lengths(source) if lines > most]
    return [f"{name}: {lines}" for name, lines in found]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_function_is_longer_than_can_be_seen(package):
    found = {
        str(path.relative_to(ROOT)): names
        for path, source in sources(package).items()
        if (names := long_functions(source))
    }
    assert found == {}


@pytest.mark.parametrize("package", PACKAGES)
def test_files_stay_small(package):
    lengths = {p: len(source.splitlines()) for p, source in sources(package).items()}
    assert statistics.median(lengths.values()) <= MEDIAN_FILE
    longest = {str(p.relative_to(ROOT)): n for p, n in lengths.items() if n > LONGEST_FILE}
    assert longest == {}


def test_a_docstring_does_not_count_and_a_body_does():
    lines = ["def read():", '    """Read.', "", "    Slowly.", '    """', *["    x = 1"] * 4]
    source = "\n".join(lines)
    assert list(function_lengths(source)) == [("read", 5)]
    assert long_functions(source, most=4) == ["read: 5"]
    assert long_functions(source, most=5) == []
    inner = "class Box:\n    async def open(self):\n        return 1\n"
    assert list(function_lengths(inner)) == [("open", 2)]
