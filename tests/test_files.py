"""Outputs appear whole or not at all; CSV is read in one way, or refused by file and line."""

from __future__ import annotations

import json
import os
import resource
import signal

import pandas as pd
import pytest

from stnopt.cli import main
from stnopt.errors import InvalidInputError
from stnopt.feasibility.samples import TargetSamples
from stnopt.files import (
    RecordLog,
    check_file,
    check_folder,
    files_together,
    parse_number,
    read_table,
    record_check,
    write_text,
)


def test_a_disk_that_refuses_leaves_what_was_there(tmp_path):
    path = tmp_path / "kept.txt"
    write_text(path, "good")
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(InvalidInputError, match=r"kept.txt.*cannot be written: File too large"):
            write_text(path, "x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, ignored)
    assert path.read_text() == "good"
    assert list(tmp_path.iterdir()) == [path]


def test_files_appear_together_or_not_at_all(tmp_path):
    (tmp_path / "one").write_text("before")

    def fails(path):
        path.write_text("half")
        assert (tmp_path / "one").read_text() == "before"
        raise RuntimeError

    def write_both():
        with files_together() as outputs:
            outputs.write_text(tmp_path / "one", "after")
            outputs.write_by(tmp_path / "two", fails)

    with pytest.raises(RuntimeError):
        write_both()
    assert {each.name for each in tmp_path.iterdir()} == {"one"}
    assert (tmp_path / "one").read_text() == "before"
    with files_together() as outputs:
        outputs.write_text(tmp_path / "one", "after")
        outputs.write_text(tmp_path / "two", "too")
    assert (tmp_path / "one").read_text() + (tmp_path / "two").read_text() == "aftertoo"


def test_rights_and_links_stay(tmp_path):
    place, link = tmp_path / "place", tmp_path / "link"
    place.write_text("before")
    place.chmod(0o640)
    link.symlink_to(place)
    write_text(link, "after")
    assert link.is_symlink()
    assert place.read_text() == "after"
    assert place.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("path", [3, None, b"x", "a\0b", "nowhere/file", "."])
def test_a_path_that_is_none_is_an_error_of_ours(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InvalidInputError, match="path: "):
        write_text(path, "x")
    assert list(tmp_path.iterdir()) == []


def test_an_output_is_checked_before_the_work(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    for folder in (file, file / "below"):
        with pytest.raises(InvalidInputError, match=r"--out: .* is a file"):
            check_folder(folder, "--out")
    with pytest.raises(InvalidInputError, match=r"region: .* is a folder"):
        check_file(tmp_path, "region")
    check_folder(tmp_path / "new" / "below", "--out")
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    "arguments",
    [["schedule", "ex2", "--horizon", "8"], ["region", "ex2", "--horizon", "8"]],
)
def test_the_command_refuses_out_before_it_searches(arguments, tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    assert main([*arguments, "--out", str(file)]) == 2
    error = capsys.readouterr().err
    assert error == f"stnopt: --out: {str(file)!r} is a file; name a folder to write into\n"


def records_of(tmp_path, content):
    path = tmp_path / "records.csv"
    path.write_bytes(content)
    return TargetSamples.from_records(path, inputs=["A", "Bö"], label="met")


PLAIN = "A,Bö,met\n1.5,2,yes\n3,4.25,no\n"
SEMICOLON = "A;Bö;met\n1,5;2;yes\n3;4,25;no\n"


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.encode(),
        PLAIN.encode("utf-8-sig"),
        PLAIN.encode("utf-16"),
        PLAIN.encode("utf-16-le"),
        PLAIN.encode("utf-16-be"),
        PLAIN.encode("latin-1"),
        PLAIN.replace("\n", "\r\n").encode(),
        PLAIN.replace(",", "\t").encode(),
        PLAIN.replace("\n", ",\n").encode(),
        PLAIN.replace("\n", "\n\n").encode(),
        PLAIN.replace(",", ";").encode(),
        SEMICOLON.encode(),
        ("sep=;\n" + SEMICOLON).encode("latin-1"),
        SEMICOLON.replace("\n", ";;\n").encode("utf-16"),
        b'"A","B\xc3\xb6","met"\n"1,5","2",yes\n"3","4,25",no\n',
    ],
)
def test_a_table_is_read_however_it_was_saved(content, tmp_path):
    samples = records_of(tmp_path, content)
    assert samples.targets.to_numpy().tolist() == [[1.5, 2], [3, 4.25]]
    assert samples.labels.tolist() == [-1, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("A,Bö,met\nkg,kg,-\n1,2,yes\n3,4,no\n", "line 2: A: 'kg' looks like a unit"),
        ("A,Bö,A,met\n1,2,3,yes\n", r"columns \['A'\] appear more than once"),
        ("A,,Bö,met\n1,2,3,yes\n", "column 2 has no name"),
        ("1,2,3\n4,5,6\n", "its first line is numbers only"),
        ("A,Bö,met\n1,5,2,yes\n", "line 2: expected 3 fields, found 4"),
        ("A,Bö,met\n1,2\n", "line 2: expected 3 fields, found 2"),
        ('A,Bö,met\n"1,500",2,yes\n', "line 2: A: '1,500' may have a thousands separator"),
        ("A;Bö;met\n1,500.5;2;yes\n", "line 2: A: '1,500.5' may have a thousands separator"),
        ("A;Bö;met\n1,5;2;yes\n1.5;2;yes\n", "line 2: A: '1,5' may have"),
        ("A,Bö,met\nx,2,yes\n", "line 2: A must be a finite number, got 'x'"),
        ('A,Bö,met\n1,2,yes\n"3,4,no\n', "line 3: unexpected end of data"),
        ("A,Bö,met\n1,\0,yes\n", "line 2: binary content"),
        ("", "found an empty file"),
        ("PK\x03\x04", "a zip or Excel file"),
    ],
)
def test_what_could_be_misread_is_refused_by_file_and_line(text, message, tmp_path):
    with pytest.raises(InvalidInputError, match=message) as caught:
        records_of(tmp_path, text.encode())
    assert "records.csv" in str(caught.value)


def test_a_table_that_is_not_there_is_an_error_of_ours(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path, "a\0b"):
        with pytest.raises(InvalidInputError, match="cannot be read"):
            read_table(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"S9;S8\n1,5;x\n", "line 2: S8 must be a number, got 'x'"),
        (b"S9,S9\n1,2\n", "appear more than once"),
        (b"S9,S8\nkg,kg\n1,2\n", "looks like a unit"),
        (b"", "found an empty file"),
    ],
)
def test_targets_of_the_command_are_read_the_same_way(content, message, tmp_path, capsys):
    path = tmp_path / "targets.csv"
    path.write_bytes(content)
    arguments = ["region", "ex2", "--horizon", "8", "--targets", str(path)]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "targets.csv" in error
    assert not (tmp_path / "out").exists()


def test_samples_are_written_whole(tmp_path):
    records = pd.DataFrame({"A": [1.0, 2.0], "met": ["yes", "no"]})
    samples = TargetSamples.from_records(records, inputs=["A"], label="met")
    samples.to_csv(tmp_path / "s.csv")
    assert [each.name for each in tmp_path.iterdir()] == ["s.csv"]
    assert TargetSamples.from_csv(tmp_path / "s.csv") == samples


def test_records_are_whole_and_kept_until_there_is_room(tmp_path):
    path = tmp_path / "log"
    log = RecordLog(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), 0, "the log")
    log.add({"n": 1})
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, before[1]))
    try:
        with pytest.warns(UserWarning, match="the log cannot be written"):
            log.add({"n": 2})
        log.add({"n": 3})
        assert len(path.read_text().splitlines()) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    log.close()
    records = [json.loads(line) for line in path.read_text().splitlines()]
    assert [record["n"] for record in records] == [1, 2, 3]
    for record in records:
        assert record.pop("check") == record_check(record)


@pytest.mark.parametrize("text", ["1_000", "", "x", "1,5"])
def test_what_is_no_number_in_a_table_is_none_anywhere(text):
    with pytest.raises(ValueError, match="expected a number"):
        parse_number(text)
