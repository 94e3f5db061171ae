"""The JSON Schema of the plant file, with what states, units and objectives say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stnopt.plant.objective import OBJECTIVES
from stnopt.plant.recipe import STATE_KEYS
from stnopt.plant.rules import UNIT_RULES

_FILE = Path(__file__).with_name("plant_file.schema.json")
_PAIR = {
    "type": "array",
    "prefixItems": [{"type": "number"}, {"type": "number"}],
    "minItems": 2,
    "maxItems": 2,
}
_AMOUNT = {"type": "number", "minimum": 0}
_KINDS: dict[str, dict[str, Any]] = {
    "supply": {"anyOf": [_AMOUNT, {"const": "unlimited"}]},
    "amount": _AMOUNT,
    "number": {"type": "number"},
    "flag": {"type": "boolean"},
    "steps": {"type": "array", "items": _PAIR},
}


def plant_file_schema() -> dict[str, Any]:
    """Return the schema, for editors that check while one writes."""
    schema: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))
    schema["$defs"]["state"]["properties"] = {
        name: _KINDS[key.kind] | {"description": key.help} for name, key in STATE_KEYS.items()
    }
    unit = schema["$defs"]["unit"]["properties"]
    unit.update({key: rule.schema() for key, rule in UNIT_RULES.items()})
    schema["$defs"]["problem"]["properties"]["objective"] = {"enum": list(OBJECTIVES)}
    return schema
