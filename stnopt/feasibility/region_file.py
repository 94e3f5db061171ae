"""The JSON of a region: strict text with a checksum, and what is refused when it is read back."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stnopt.errors import InvalidInputError
from stnopt.files import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FORMAT = "stnopt.region"
VERSION = 1
#: Bytes of the largest file that is read: about 500,000 support vectors of 5 inputs.
MAX_SIZE = 64 * 2**20
_CHECKSUM = "checksum"
_METHOD = "sha256:"


def encode(content: Mapping[str, Any]) -> str:
    """JSON text of a region's content, with format, version and checksum."""
    whole = {"format": FORMAT, "version": VERSION, **content}
    signed = {**whole, _CHECKSUM: checksum_of(whole)}
    return json.dumps(signed, indent=1, allow_nan=False, ensure_ascii=False)


def write(path: Path | str, text: str) -> None:
    """Write the text and a line's end to a file, whole or not at all.

    Raises
    ------
    InvalidInputError
        If the path is none, or cannot be written to.
    """
    write_text(path, text + "\n")


def read(source: Path | str) -> tuple[str, str]:
    """Text of a file, or the text that was given, and what to call it in messages.

    Raises
    ------
    InvalidInputError
        If there is no such file, or it is too large or no text.
    """
    if not isinstance(source, Path | str):
        raise InvalidInputError(
            f"source: expected a region's file or its JSON text, got {source!r}"
        )
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith("{"):
        if len(source) > MAX_SIZE:
            raise InvalidInputError(f"region: {_too_large(len(source))}")
        return source, "region"
    where = f"region file {str(source)[:200]!r}"
    try:
        with Path(source).open("rb") as file:
            content = file.read(MAX_SIZE + 1)
    except (OSError, ValueError) as error:  # ValueError: a path with a null character
        raise InvalidInputError(f"source: {where} cannot be read: {error}") from error
    if len(content) > MAX_SIZE:
        raise InvalidInputError(f"{where}: {_too_large(Path(source).stat().st_size)}")
    try:
        return content.decode("utf-8-sig"), where
    except UnicodeDecodeError as error:
        raise InvalidInputError(f"{where}: not a region in JSON: {error}") from error


def decode(text: str, where: str) -> tuple[dict[str, Any], object]:
    """Content of a region's JSON without format and version, and the checksum it states.

    Raises
    ------
    InvalidInputError
        If it is no such JSON, or of another format or version.
    """
    content = parse_strictly(text, where)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else type(content).__name__
        raise InvalidInputError(f"{where}: expected 'format': {FORMAT!r}, got {shown(found)}")
    version = content.get("version")
    if version != VERSION or not isinstance(version, int) or isinstance(version, bool):
        raise InvalidInputError(
            f"{where}: this release reads version {VERSION}, got {shown(version)}"
        )
    checksum = content.pop(_CHECKSUM, None)
    del content["format"], content["version"]
    return content, checksum


def parse_strictly(text: str, where: str) -> Any:
    """Read JSON in which no key is repeated and every number is one.

    Raises
    ------
    InvalidInputError
        If it is none.
    """
    try:
        return json.loads(
            text.lstrip("\ufeff"), object_pairs_hook=_unique_keys, parse_constant=_no_constant
        )
    except (ValueError, RecursionError) as error:  # JSONDecodeError, repeated keys, NaN
        raise InvalidInputError(f"{where}: not a region in JSON: {error}") from error


def compare_checksum(content: Mapping[str, Any], checksum: object, where: str) -> None:
    """Refuse a content that is not the one whose checksum was written; None says nothing.

    Raises
    ------
    InvalidInputError
        If the two differ.
    """
    whole = {"format": FORMAT, "version": VERSION, **content}
    if checksum is not None and checksum != checksum_of(whole):
        raise InvalidInputError(
            f"{where}: the checksum differs: the region was damaged or edited after it was"
            " written. Take it from its source again, or remove the line 'checksum' if the"
            " change was meant"
        )


def checksum_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of a content, whatever the order of its keys and its layout."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return _METHOD + hashlib.sha256(text.encode()).hexdigest()


def _too_large(size: int) -> str:
    return f"{size} bytes are too many for a region, {MAX_SIZE} is the most"


def shown(value: object) -> str:
    """Value as a message prints it, cut where it is long."""
    try:
        text = repr(value)
    except RecursionError:
        text = f"a {type(value).__name__} that is nested too deeply"
    return text if len(text) <= 200 else text[:200] + "..."


def _unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        keys = [key for key, _ in pairs]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        raise ValueError(f"repeated keys {repeated}")
    return content


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
