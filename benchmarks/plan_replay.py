"""Replay the saved schedules of a plan from its tables alone, without any code of the library.

Read are the plant's YAML file, and `schedules.csv` and `balance.csv` as `stnopt plan` writes them.
Checked are suitability, sizes, durations, units that run one batch at a time, stocks that never go
below zero nor, with what may wait in idle units, above what can be stored, and that as much of each
product is made as is planned. For plants with nothing beside tasks, units and stores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

    import pandas as pd

#: Hours and amounts that count as none.
TIME, AMOUNT = 1e-4, 2e-3


def problems_of(
    batches: pd.DataFrame, made: dict[str, float], plant: dict[str, Any], horizon: float
) -> list[str]:
    """Say what is wrong with one period's batches (task, unit, start, finish, size)."""
    problems = []
    for row in batches.itertuples():
        unit = plant["tasks"].get(row.task, {"units": {}})["units"].get(row.unit)
        if unit is None:
            problems.append(f"{row.unit} cannot run {row.task}")
            continue
        if not unit.get("min_batch", 0) - AMOUNT <= row.size <= unit["max_batch"] + AMOUNT:
            problems.append(f"{row.task}: {row.size} is too large or too small for {row.unit}")
        hours = unit["fixed_time"] + unit.get("time_per_amount", 0) * row.size
        if abs(row.finish - row.start - hours) > TIME:
            problems.append(f"{row.task} on {row.unit} takes {hours}")
        if row.start < -TIME or row.finish > horizon + TIME:
            problems.append(f"{row.task} on {row.unit} is outside the period")
    for unit, rows in batches.groupby("unit"):
        ordered = rows.sort_values(["start", "finish"])
        if (ordered["start"].to_numpy()[1:] < ordered["finish"].to_numpy()[:-1] - TIME).any():
            problems.append(f"{unit} runs two batches at once")
    return problems or _stock_problems(batches, made, plant)


def _stock_problems(
    batches: pd.DataFrame, made: dict[str, float], plant: dict[str, Any]
) -> list[str]:
    problems = []
    for state, content in plant["states"].items():
        initial = (content or {}).get("initial", 0)
        if initial == "unlimited":
            continue
        capacity = (content or {}).get("capacity", float("inf"))
        tasks = plant["tasks"]
        makers = [(r, tasks[r.task]["produces"].get(state, 0)) for r in batches.itertuples()]
        takers = [(r, tasks[r.task]["consumes"].get(state, 0)) for r in batches.itertuples()]
        moments = sorted({r.finish for r, q in makers if q} | {r.start for r, q in takers if q})
        for now in moments:
            came = sum(q * r.size for r, q in makers if r.finish <= now + TIME)
            left = sum(q * r.size for r, q in takers if r.start <= now + TIME)
            stock = initial + came - left
            if stock < -AMOUNT:
                problems.append(f"{-stock} of {state} are missing at {now}")
            # units may keep what they made
            waits = sum(
                q * r.size
                for r, q in makers
                if q and r.finish <= now + TIME and _is_idle(batches, r.unit, r.finish, now)
            )
            if stock > capacity + waits + AMOUNT:
                problems.append(f"{stock} of {state} are stored at {now}")
        final = initial + sum(q * r.size for r, q in makers) - sum(q * r.size for r, q in takers)
        if final < made.get(state, 0.0) - AMOUNT:
            problems.append(f"{final} of {state} are made, not {made.get(state, 0.0)}")
    return problems


def _is_idle(batches: pd.DataFrame, unit: str, since: float, until: float) -> bool:
    starts = batches.loc[batches["unit"] == unit, "start"]
    return not ((starts >= since - TIME) & (starts <= until + TIME)).any()


def spoilt(
    batches: pd.DataFrame, made: dict[str, float], plant: dict[str, Any], rng: Random
) -> dict[str, pd.DataFrame]:
    """Return one period's batches with one dropped, one grown, and one moved onto another.

    Dropped is the largest that makes a planned product, grown one to a tenth more than its unit
    holds, moved one to the start of another on its unit, if a unit has two.
    """
    tasks = plant["tasks"]
    makes = [any(made.get(s, 0) > AMOUNT for s in tasks[t]["produces"]) for t in batches["task"]]
    changed = {"dropped": batches.drop(index=batches[makes]["size"].idxmax())}
    one = rng.choice(list(batches.index))
    unit = tasks[batches.at[one, "task"]]["units"][batches.at[one, "unit"]]
    grown = batches.copy()
    grown.at[one, "size"] = 1.1 * unit["max_batch"]
    grown.at[one, "finish"] = grown.at[one, "start"] + (
        unit["fixed_time"] + unit.get("time_per_amount", 0) * grown.at[one, "size"]
    )
    changed["grown"] = grown
    counts = batches["unit"].value_counts()
    if (counts > 1).any():
        own = list(batches.index[batches["unit"] == rng.choice(list(counts.index[counts > 1]))])
        first, second = rng.sample(own, 2)
        moved = batches.copy()
        moved.at[first, "start"] = moved.at[second, "start"]
        moved.at[first, "finish"] += moved.at[first, "start"] - batches.at[first, "start"]
        changed["moved"] = moved
    return changed
