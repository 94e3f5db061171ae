"""From a plant file's text to plain Python values, and what YAML would silently read otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as shortened
from typing import Any

import yaml

from stnopt.errors import InvalidInputError, InvalidNetworkError
from stnopt.plant.checks import did_you_mean

EXAMPLES = Path(__file__).parent / "examples"


_SUFFIXES = (".yaml", ".yml", ".json", ".xlsx")


def open_source(
    source: object, problems: list[str], *, is_plant: bool = True
) -> tuple[object, str]:
    """Return a source's content as plain Python values, and the name of the file it came from.

    A missing file that was to be something else than a plant is not looked for among the examples.
    """
    if isinstance(source, Mapping):
        return source, ""
    if not isinstance(source, str | Path):
        raise InvalidNetworkError(
            f"source: expected the path of a plant file or a mapping, got {shortened(source)}"
        )
    if not str(source) or "\0" in str(source):
        raise InvalidNetworkError(f"source: expected the path of a plant file, got {source!r}")
    if "\n" in str(source):
        raise InvalidNetworkError(
            "source: expected the path of a plant file, got text of several lines; "
            "parse the text first and pass the mapping"
        )
    path = Path(source)
    if not is_plant and not path.exists():
        raise InvalidNetworkError(f"there is no such file{_neighbour(path)}", source=str(path))
    try:
        return _parse(path, problems), str(path)
    except InvalidNetworkError as error:
        raise InvalidNetworkError(error.problems, source=str(path)) from error


def _parse(path: Path, problems: list[str]) -> object:
    """Text to plain Python values; what is wrong but can be read past is added to `problems`."""
    if holds_tables(path):
        from stnopt.plant.tables.read import read_tables

        try:
            return read_tables(path, problems)
        except InvalidInputError as error:
            raise InvalidNetworkError(error.problems) from error
    if path.suffix.lower() not in _SUFFIXES:
        raise InvalidNetworkError(_not_a_plant_file(path))
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise InvalidNetworkError(_not_a_plant_file(path)) from error
    except OSError as error:
        raise InvalidNetworkError(f"the file cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidNetworkError(
            f"the file is not text in UTF-8: byte {error.start} is {error.object[error.start]:#x}"
        ) from error
    if not text.strip():
        raise InvalidNetworkError(
            "the file is empty; a plant needs the keys name, states and tasks"
        )
    parse = _parse_json if path.suffix.lower() == ".json" else _parse_yaml
    try:
        return parse(text, problems)
    except RecursionError as error:
        raise InvalidNetworkError("the file is nested too deeply to be a plant") from error


def holds_tables(path: Path) -> bool:
    """Whether a path is a workbook, or a folder of CSV files."""
    if path.is_dir():
        return any(path.glob("*.csv"))
    return path.suffix.lower() == ".xlsx" and path.is_file()


def written_yaml(document: Mapping[str, Any]) -> str:
    """Write a plant file's content as YAML that reads back as the same content."""
    text: str = yaml.dump(
        document,
        Dumper=_PlantDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=None,
        width=100,
    )
    return text


class _PlantDumper(yaml.SafeDumper):
    """YAML's safe dumper without anchors, which a plant file has no use for."""

    def ignore_aliases(self, data: object) -> bool:
        return True

    def represent_number(self, data: float) -> yaml.ScalarNode:
        """Write whole numbers without a point, as people do."""
        if data == int(data) and abs(data) < 1e15:
            return self.represent_int(int(data))
        return self.represent_float(data)


_PlantDumper.add_representer(float, _PlantDumper.represent_number)


def _not_a_plant_file(path: Path) -> str:
    if path.is_dir():
        return (
            "this is a folder without tables (CSV files); give the path of a plant file in it, or "
            "of a folder of tables"
        )
    if path.exists():
        return f"a plant file ends in {', '.join(_SUFFIXES)}; got {path.suffix or 'no suffix'!r}"
    examples = list_examples()
    if path.stem in examples:
        return f"there is no such file, but an example: load_example({path.stem!r})"
    hint = _neighbour(path) or did_you_mean(path.stem, examples)
    return f"there is no such file{hint}; examples for load_example are {', '.join(examples)}"


def _neighbour(path: Path) -> str:
    """End a sentence about a missing file with the file beside it that has nearly its name."""
    if str(path) == "-":
        return " (standard input can be a plant, a problem or changes)"
    try:
        beside = [each.name for each in path.parent.iterdir() if each.suffix.lower() in _SUFFIXES]
    except OSError:
        return ""
    return did_you_mean(path.name, beside)


def _parse_json(text: str, problems: list[str]) -> object:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        problems.extend(
            f"key {key!r} is given more than once in {{{', '.join(dict.fromkeys(keys))}}}"
            for key in dict.fromkeys(keys)
            if keys.count(key) > 1
        )
        return dict(pairs)

    try:
        return json.loads(text, object_pairs_hook=unique)
    except json.JSONDecodeError as error:
        raise InvalidNetworkError(
            f"line {error.lineno}, column {error.colno}: this is not JSON: {error.msg}"
        ) from error
    except ValueError as error:  # an integer with more digits than Python reads
        raise InvalidNetworkError(f"the file cannot be read as JSON: {error}") from error


def _parse_yaml(text: str, problems: list[str]) -> object:
    loader = None
    try:
        loader = _PlantLoader(text)
        return loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        reason = ", ".join(filter(None, (error.context, error.problem)))
        raise InvalidNetworkError(f"{where}this is not YAML: {reason}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise InvalidNetworkError(
            f"line {line}: the character {chr(error.character)!r} may not stand in YAML"
        ) from error
    finally:
        if loader is not None:
            problems.extend(loader.problems)
            loader.dispose()


class _PlantLoader(yaml.SafeLoader):
    """YAML's safe loader, which reports what YAML would silently read as something else.

    A repeated key hides its first value, and an unquoted `NO` is no text. Numbers in YAML's more
    surprising spellings (`1:30` is 90, `010` is 8) stay text, so that whoever wanted a number
    reports them with the element they belong to.
    """

    _PLAIN_NUMBER = re.compile(
        r"[-+]?(0|[1-9][0-9]{0,99})|[-+]?([0-9]+\.[0-9]*|\.[0-9]+)([eE][-+][0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
    )
    _TEXT, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
    _NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
    _DATE = "tag:yaml.org,2002:timestamp"

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[str] = []

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()
        if getattr(event, "tag", None) not in (None, "!"):
            raise yaml.composer.ComposerError(
                None, None, f"a plant file has no use for the tag {event.tag}", event.start_mark
            )
        return super().compose_node(parent, index)

    def compose_scalar_node(self, anchor: Any) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        surprising = node.tag in self._NUMBERS and not self._PLAIN_NUMBER.fullmatch(node.value)
        if surprising or node.tag == self._DATE:
            node.tag = self._TEXT
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        entries = []
        first_line: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                self.problems.append(f"line {line}: a key must be text, not a {key.id}")
                continue
            if key.tag not in (self._TEXT, self._MERGE):
                kind = key.tag.rpartition(":")[2]
                self.problems.append(
                    f"line {line}: YAML reads the key {key.value} as {_KINDS[kind]}, not as text; "
                    f'put it in quotes: "{key.value}"'
                )
                key = yaml.ScalarNode(self._TEXT, key.value, key.start_mark, key.end_mark)
            if key.value in first_line and key.tag != self._MERGE:
                self.problems.append(
                    f"line {line}: key {key.value!r} is given again "
                    f"(first on line {first_line[key.value]})"
                )
            first_line.setdefault(key.value, line)
            entries.append((key, value))
        node.value = entries
        return node


_KINDS = {
    "bool": "true or false",
    "null": "nothing",
    "int": "a number",
    "float": "a number",
    "value": "a default value",
}


def list_examples() -> list[str]:
    """Names of the plants that ship with the library, for `load_example`."""
    return sorted(path.stem for path in EXAMPLES.glob("*.yaml"))
