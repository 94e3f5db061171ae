"""The JSON Schema of the plant file, with what unit rules and objectives say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stnopt.plant.objective import OBJECTIVES
from stnopt.plant.rules import UNIT_RULES

_FILE = Path(__file__).with_name("plant_file.schema.json")


def plant_file_schema() -> dict[str, Any]:
    """Return the schema, for editors that check while one writes."""
    schema: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    unit = schema["$defs"]["unit"]["properties"]
    unit.update({key: rule.schema() for key, rule in UNIT_RULES.items()})
    schema["$defs"]["problem"]["properties"]["objective"] = {"enum": list(OBJECTIVES)}
    return schema
