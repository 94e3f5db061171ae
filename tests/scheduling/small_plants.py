"""Plants in a few words, for tests that need one of their own."""

from __future__ import annotations

from stnopt.plant import read_network


def plant(states, tasks, **rules):
    """A plant from its sections, as a plant file has them."""
    return read_network({"name": "plant", "states": states, "tasks": tasks, **rules})


def task(consumes, produces, **units):
    """A task; a name in place of fractions is the whole batch."""
    sides = ({name: 1} if isinstance(name, str) else name for name in (consumes, produces))
    return dict(zip(("consumes", "produces", "units"), (*sides, units), strict=True))


def run(hours, most, **more):
    """What a unit needs for a task: hours, the largest batch, and what else there is to say."""
    return {"fixed_time": hours, "max_batch": most, **more}
