"""Nothing writes a file of its own: every output goes through `files`, so that it is whole."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("stnopt", "reactor_yield", "case_studies", "benchmarks")
#: Files that may write, and why.
DOORS = {
    "stnopt/files.py": "it is the one that does",
    "reactor_yield/files.py": "it is the one that does",
    "benchmarks/drawn_searches.py": "a log of verdicts that a later run goes on with",
    "benchmarks/damaged_files.py": "it damages files on purpose",
    "benchmarks/round_trips.py": "a schedule's own to_csv and to_excel, which go through files",
    "stnopt/cli/standard_input.py": "what comes in, into a temporary folder",
    "reactor_yield/serving/capture.py": "rows of the service, appended as they come",
    "stnopt/page/session.py": "an upload, into a temporary folder",
    "reactor_yield/serving/aws.py": "a download, into a temporary folder",
}
#: What is written into: the path that `write_by` offers, or a buffer in memory.
KEPT_ASIDE = {"aside", "buffer", "text", "file", "book"}
WRITERS = {"write_text", "write_bytes", "savefig", "to_excel", "to_pickle", "to_parquet", "touch"}
OWNERS = {"outputs", "files"}  # what `files_together` returns, and the module itself


def modes_of(call: ast.Call, place: int) -> str:
    given = [k.value for k in call.keywords if k.arg == "mode"] + call.args[place : place + 1]
    return given[0].value if given and isinstance(given[0], ast.Constant) else "r"


def writes(call: ast.Call) -> bool:
    """Whether a call writes a file by itself."""
    function = call.func
    first = call.args[0] if call.args else None
    aside = isinstance(first, ast.Name) and first.id in KEPT_ASIDE
    if isinstance(function, ast.Name):
        return function.id == "open" and bool(set("wax+") & set(str(modes_of(call, 1))))
    if not isinstance(function, ast.Attribute):
        return False
    owner = function.value.id if isinstance(function.value, ast.Name) else ""
    if function.attr == "open":  # of a path: `aside.open("w")` is the path that write_by offers
        return owner not in KEPT_ASIDE and bool(set("wax+") & set(str(modes_of(call, 0))))
    if function.attr == "fdopen":
        return True
    if function.attr == "to_csv":
        return first is not None and not aside and owner not in OWNERS
    if function.attr in WRITERS:
        return not aside and owner not in {*OWNERS, *KEPT_ASIDE}
    return False


def writers_in(source: str) -> list[int]:
    return [n.lineno for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call) and writes(n)]


def sources() -> list[str]:
    found = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return sorted(path.relative_to(ROOT).as_posix() for path in found)


def test_no_file_is_written_but_through_files():
    found = {
        f"{name}:{line}"
        for name in sources()
        if name not in DOORS
        for line in writers_in((ROOT / name).read_text(encoding="utf-8"))
    }
    assert not found


@pytest.mark.parametrize(
    "line",
    [
        "open(path, 'w')",
        "open(path, mode='ab')",
        "path.open('x')",
        "Path(name).write_text('x')",
        "figure.savefig(results / 'a.png')",
        "frame.to_csv('a.csv')",
        "os.fdopen(handle, 'wb')",
    ],
)
def test_the_check_can_fail(line):
    assert writers_in(line)


@pytest.mark.parametrize(
    "line",
    [
        "open(path)",
        "path.open('rb')",
        "outputs.write_text(path, 'x')",
        "write_text(path, 'x')",
        "frame.to_csv(aside, index=False)",
        "frame.to_csv(index=False)",
        "figure.savefig(buffer)",
    ],
)
def test_what_goes_through_files_passes(line):
    assert not writers_in(line)
