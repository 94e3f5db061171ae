"""What `make docs` runs the pages with: it tells a block that does not hold from one that does."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "docs" / "run_blocks.py"
spec = importlib.util.spec_from_file_location("run_blocks", SCRIPT)
run_blocks = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = run_blocks  # dataclasses look their module up
spec.loader.exec_module(run_blocks)

PAGES = run_blocks.find_pages()


def test_the_tables_name_pages_that_are_there():
    assert len(PAGES) > 15
    assert set(run_blocks.PREPARE) | set(run_blocks.PRINTED) <= set(PAGES)


def page_of(monkeypatch, tmp_path, text):
    (tmp_path / "page.md").write_text(text, encoding="utf-8")
    monkeypatch.setattr(run_blocks, "ROOT", tmp_path)
    return run_blocks.run_page("page.md", tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("```python\n1 / 0\n```", "ZeroDivisionError"),
        ("```console\n$ false\n```", "exit code 1"),
        ("```console\n$ echo one\ntwo\n```", "and not\ntwo"),
        ("```console\n$ echo one && echo two\none\n```", "and not"),
        ("```\nwhatever\n```", "NO_CODE does not say"),
        ("```yaml\nplant: {name: x}\n```", "'states' is missing"),
    ],
)
def test_a_block_that_does_not_hold_is_told(text, message, monkeypatch, tmp_path):
    failed, _ = page_of(monkeypatch, tmp_path, text)
    assert len(failed) == 1
    assert message in failed[0]


@pytest.mark.parametrize(
    "text",
    [
        "```console\n$ echo one && echo two\n...\ntwo\n```",
        "```console\n$ true\n$ echo $?\n0\n```",
        "As one run has it:\n\n```console\n$ echo one\ntwo\n```",
        "```console\n$ echo a \\\n    b\na b\n```",
        "```python\nx = 1\n```\n\n```python\nassert x == 1\n```",
    ],
)
def test_a_block_that_holds_passes(text, monkeypatch, tmp_path):
    assert page_of(monkeypatch, tmp_path, text) == ([], [])
