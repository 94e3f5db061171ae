"""What `/openapi.json` says of `POST /invocations`: the model's own columns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from reactor_yield.serving.conditions import LARGEST, needed_columns, number_columns

if TYPE_CHECKING:
    from reactor_yield.serving.settings import ServiceSettings
    from reactor_yield.yield_model import YieldModel

_SENTENCE = {"text/plain": {"schema": {"type": "string"}}}


def describe_invocations(model: YieldModel, settings: ServiceSettings) -> dict[str, Any]:
    """OpenAPI fragment with request body and answers."""
    numeric = number_columns(model)
    properties: dict[str, Any] = {}
    for name in model.features:
        if name not in numeric:
            properties[name] = {"type": ["string", "null"]}
            continue
        low, high = model.training_range[name]
        properties[name] = {
            "type": ["number", "null"],
            "minimum": -LARGEST,
            "maximum": LARGEST,
            "description": f"trained from {low:g} to {high:g}; null in a gap",
        }
    record = {
        "type": "object",
        "properties": properties,
        "required": needed_columns(model),
    }
    example = [
        {name: model.baseline[name] for name in needed_columns(model) if name in model.baseline}
    ]
    answer: dict[str, Any] = {
        model.target: {"type": ["number", "null"]},
        "lower": {"type": ["number", "null"]},
        "upper": {"type": ["number", "null"]},
        "in_range": {"type": "boolean"},
        "outside": {"type": "string"},
    }
    if settings.target is not None:
        answer["alarm"] = {"type": ["boolean", "null"]}
    answered = {
        "type": "array",
        "items": {"type": "object", "properties": answer, "required": list(answer)},
    }
    records = {
        "type": "array",
        "minItems": 1,
        "maxItems": settings.max_rows,
        "items": record,
    }
    return {
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {"schema": records, "example": example},
                "text/csv": {"schema": _describe_csv(model)},
            },
        },
        "responses": {
            "200": {
                "description": "Prediction, interval, range check (and alarm) of each row.",
                "content": {
                    "application/json": {"schema": answered},
                    "text/csv": {"schema": {"type": "string"}},
                },
            },
            **{
                str(status): {"description": told, "content": _SENTENCE}
                for status, told in (
                    (400, "The conditions cannot be read; row and column are named."),
                    (401, "The token is missing or wrong."),
                    (406, "Neither CSV nor JSON is accepted."),
                    (413, "Body, rows or columns beyond the limits."),
                    (415, "Another media type, charset or encoding."),
                    (503, "Too many rows are waiting, or the service is shutting down."),
                )
            },
        },
    }


def _describe_csv(model: YieldModel) -> dict[str, Any]:
    """Describe the plainest accepted form: a header, and a line of numbers per row."""
    names, numeric = needed_columns(model), number_columns(model)
    number, text = r"-?[0-9]{1,9}(\.[0-9]{1,9})?", "[A-Za-z0-9]{1,20}"
    cells = ",".join(number if n in numeric else text for n in names)
    header = ",".join(re.escape(n).replace("\\ ", " ") for n in names)
    return {
        "type": "string",
        "pattern": f"^{header}\n({cells}\n){{1,20}}$",
        "description": "Columns may come in any order, with others between them; a gap is empty.",
    }
