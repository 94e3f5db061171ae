"""Which tables a plant is written in, and which columns each has: the one place that says so."""

from __future__ import annotations

from stnopt.plant.recipe import STATE_KEYS
from stnopt.plant.rules import UNIT_RULES
from stnopt.plant.tables.sheet import Column, Kind, Sheet

#: The kind of column for a kind of key.
_KINDS: dict[str, Kind] = {
    "supply": "any",
    "amount": "number",
    "number": "number",
    "flag": "flag",
}
_ORDER = (
    Column("id", "text", required=True, help="what the order is called"),
    Column("state", "text", required=True),
    Column("amount", "number", required=True),
    Column("due", "time", required=True, help="a number, or a date and time"),
    Column("earliest", "time", help="it is not taken before"),
    Column("priority", "number", help="weight of its lateness; 1 where empty"),
    Column("partial", "flag", help="whether it may be delivered in parts"),
    Column("late_cost", "number", help="per time that it is late"),
    Column("missing_cost", "number", help="per amount that is missing; empty: it must be met"),
)

SHEETS = (
    Sheet(
        "plant",
        "One row for each fact about the plant as a whole.",
        (
            Column(
                "key",
                "text",
                required=True,
                help="name, amount_unit, time_unit, citation or description",
            ),
            Column("value", "text", required=True),
        ),
        key=("key",),
    ),
    Sheet(
        "states",
        "One row for each material.",
        (
            Column("state", "text", required=True),
            *(
                Column(name, _KINDS[key.kind], help=key.help)
                for name, key in STATE_KEYS.items()
                if key.kind != "steps"
            ),
        ),
        key=("state",),
    ),
    Sheet(
        "recipes",
        "One row for each material that a task consumes or produces.",
        (
            Column("task", "text", required=True),
            Column("state", "text", required=True),
            Column("consumes", "number", help="fraction of the batch; each task's sum to 1"),
            Column("produces", "number", help="fraction of the batch; each task's sum to 1"),
        ),
        key=("task", "state"),
    ),
    Sheet(
        "units",
        "One row for each task on each unit that can run it.",
        (
            Column("task", "text", required=True),
            Column("unit", "text", required=True),
            Column("min_batch", "number"),
            Column("max_batch", "number", required=True),
            Column(
                "fixed_time", "number", required=True, help="time of a batch, whatever its size"
            ),
            Column("time_per_amount", "number", help="further time for each amount of the batch"),
            Column("fixed_cost", "number", help="of a batch, whatever its size"),
            Column("cost_per_amount", "number"),
        ),
        key=("task", "unit"),
    ),
    Sheet(
        "releases",
        "One row for each material that leaves a running batch before its end.",
        (
            Column("task", "text", required=True),
            Column("unit", "text", required=True),
            Column("state", "text", required=True),
            Column("release_time", "number", required=True, help="after the batch's start"),
        ),
        key=("task", "unit", "state"),
    ),
    Sheet(
        "draws",
        "One row for each utility that a batch draws while it runs.",
        (
            Column("task", "text", required=True),
            Column("unit", "text", required=True),
            Column("utility", "text", required=True),
            Column("draws", "number", help="of a batch, whatever its size"),
            Column("draws_per_amount", "number"),
        ),
        key=("task", "unit", "utility"),
    ),
    Sheet(
        "utilities",
        "One row for each utility, or for each time at which its capacity changes.",
        (
            Column("utility", "text", required=True),
            Column("from", "number", help="when this capacity begins; empty: always"),
            Column("capacity", "number", required=True),
        ),
        key=("utility", "from"),
    ),
    Sheet(
        "arrivals",
        "One row for each amount that comes during the horizon.",
        (
            Column("state", "text", required=True),
            Column("time", "number", required=True),
            Column("amount", "number", required=True),
        ),
    ),
    *dict.fromkeys(rule.sheet for rule in UNIT_RULES.values()),
    Sheet(
        "problem",
        "One row for each fact about what is asked.",
        (
            Column("key", "text", required=True, help="objective, horizon, sense or start"),
            Column("value", "any", required=True),
        ),
        key=("key",),
    ),
    Sheet(
        "demand",
        "One row for each amount that must be left at the horizon.",
        (
            Column("state", "text", required=True),
            Column("amount", "number", required=True),
        ),
        key=("state",),
    ),
    Sheet(
        "deliveries",
        "One row for each amount that leaves at a fixed time.",
        (
            Column("state", "text", required=True),
            Column("time", "time", required=True),
            Column("amount", "number", required=True),
        ),
    ),
    Sheet("orders", "One row for each order.", _ORDER, key=("id",)),
    Sheet(
        "stocks",
        "One row for each stock at time 0 that differs from the plant's initial one.",
        (
            Column("state", "text", required=True),
            Column("amount", "number", required=True),
        ),
        key=("state",),
    ),
    Sheet(
        "running",
        "One row for each batch that runs at time 0.",
        (
            Column("task", "text", required=True),
            Column("unit", "text", required=True),
            Column("started", "time", required=True, help="0 or before"),
            Column("size", "number", required=True),
            Column("remaining", "number", required=True, help="time that it still runs"),
            Column("released", "list", help="states that have left it already"),
        ),
        key=("unit",),
    ),
    Sheet(
        "held",
        "One row for each material that waits in an idle unit at time 0.",
        (
            Column("unit", "text", required=True),
            Column("state", "text", required=True),
            Column("amount", "number", required=True),
        ),
        key=("unit", "state"),
    ),
    Sheet(
        "last",
        "One row for each idle unit: what it ran last.",
        (
            Column("unit", "text", required=True),
            Column("task", "text", required=True),
            Column("finished", "time", required=True, help="0 or before"),
        ),
        key=("unit",),
    ),
    Sheet(
        "since_cleaning",
        "One row for each unit: batches since it was last cleaned.",
        (
            Column("unit", "text", required=True),
            Column("batches", "number", required=True),
        ),
        key=("unit",),
    ),
    Sheet("open_orders", "One row for each order that was open before.", _ORDER, key=("id",)),
)
BY_NAME = {sheet.name: sheet for sheet in SHEETS}
#: A sheet of words, for people; it is not read.
READ_ME = "read me"
