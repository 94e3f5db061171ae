"""A week of a paint shop with 60 orders, of which 48 can be met and 12 are more than there is time.

The plant's calendar comes back every day. The 48 are cut from a schedule that is found without them
and then forgotten: each asks for part of what that schedule has filled by then. The 12 are large;
what the 48 leave of the units' hours is less than the smallest of them needs. Run alone with
`python benchmarks/paint_week.py [--seed 0] [--seconds 60] [--share 0.85]`.
"""

from __future__ import annotations

import argparse
import time
from random import Random
from typing import Any

import stnopt as so
from stnopt.plant.problem import Problem
from stnopt.scheduling.search.long_horizon.engine import search_long_horizon

HORIZON = 168.0
DAY = 24.0
#: When the reactor is away each day, in hours after 06:00.
AWAY = ((0.0, 1.6667), (6.0, 7.0))
N_MET, N_BEYOND = 48, 12
PRODUCTS = ("White", "Blue", "Primer")


def paint_shop() -> so.Network:
    """Return the plant: two mixers, a mill, a reactor and a filler, for three paints."""
    away = [[a + DAY * day, b + DAY * day] for day in range(7) for a, b in AWAY]
    mixer = {"Mixer1": (300, 100), "Mixer2": (200, 60)}

    def task(
        consumes: dict[str, float], made: str, units: dict[str, dict[str, float]]
    ) -> dict[str, Any]:
        return {"consumes": consumes, "produces": {made: 1}, "units": units}

    def mix(hours: tuple[float, float]) -> dict[str, dict[str, float]]:
        return {
            unit: {"max_batch": most, "min_batch": least, "fixed_time": fixed}
            for (unit, (most, least)), fixed in zip(mixer.items(), hours, strict=True)
        }

    fill = {"Filler": {"max_batch": 300, "fixed_time": 0.25, "time_per_amount": 0.002}}

    def react(hours: float) -> dict[str, dict[str, float]]:
        return {"Reactor": {"max_batch": 500, "min_batch": 100, "fixed_time": hours}}

    def mill(slope: float) -> dict[str, dict[str, float]]:
        return {"Mill": {"max_batch": 250, "fixed_time": 0.5, "time_per_amount": slope}}

    return so.read_network(
        {
            "name": "paint shop",
            "amount_unit": "kg",
            "time_unit": "h",
            "states": {
                "Pigment": {"initial": "unlimited", "cost": 3},
                "Resin": {"initial": "unlimited", "cost": 1},
                "Solvent": {"initial": "unlimited", "cost": 0.5},
                "PasteW": {"initial": 250, "capacity": 500},
                "PasteB": {"capacity": 300},
                "MilledW": {"capacity": 400},
                "MilledB": {"capacity": 400},
                "BulkW": {"capacity": 600},
                "BulkB": {"capacity": 600},
                "White": {"price": 9},
                "Blue": {"price": 12},
                "Primer": {"price": 7},
            },
            "tasks": {
                "MixW": task({"Pigment": 0.4, "Resin": 0.6}, "PasteW", mix((1.5, 1.25))),
                "MixB": task({"Pigment": 0.5, "Resin": 0.5}, "PasteB", mix((1.75, 1.5))),
                "MillW": task({"PasteW": 1}, "MilledW", mill(0.003)),
                "MillB": task({"PasteB": 1}, "MilledB", mill(0.005)),
                "LetdownW": task({"MilledW": 0.5, "Resin": 0.3, "Solvent": 0.2}, "BulkW", react(1)),
                "LetdownB": task(
                    {"MilledB": 0.5, "Resin": 0.3, "Solvent": 0.2}, "BulkB", react(1.2)
                ),
                "FillW": task({"BulkW": 1}, "White", fill),
                "FillB": task({"BulkB": 1}, "Blue", fill),
                "FillPrimer": task({"BulkW": 0.8, "Solvent": 0.2}, "Primer", fill),
            },
            "units": {
                "Reactor": {
                    "unavailable": away,
                    "changeovers": {"LetdownB": {"LetdownW": 0.75}, "LetdownW": {"LetdownB": 0.25}},
                },
                "Filler": {"changeovers": {"FillB": {"FillW": 0.5, "FillPrimer": 0.5}}},
            },
        }
    )


def draw_orders(
    network: so.Network, seed: int, *, share: float = 0.85, seconds: float = 15.0
) -> tuple[so.Order, ...]:
    """Draw 48 orders that can all be met in time, and 12 that cannot be met beside them.

    Parameters
    ----------
    network : Network
    seed : int
    share : float
        Of what the forgotten schedule has filled, up to any time, that is ordered by then.
    seconds : float
        CPU seconds for that schedule.
    """
    random = Random(seed)
    hidden, bound = search_long_horizon(
        network,
        Problem(objective="production", horizon=HORIZON),
        time_limit=seconds,
        seed=seed,
        clock=time.process_time,
    )
    assert hidden is not None
    filled = [b for b in hidden.batches if b.unit == "Filler"]
    filled.sort(key=lambda batch: batch.finish)
    total = sum(batch.size for batch in filled)
    rows: list[tuple[str, float, float]] = []
    left = dict.fromkeys(PRODUCTS, 0.0)
    wanted = share * total / N_MET
    for batch in filled:
        (product,) = network.tasks[batch.task].produces
        left[product] += share * batch.size
        amount = round(wanted * random.uniform(0.7, 1.2))
        if left[product] >= amount and len(rows) < N_MET:
            left[product] -= amount
            rows.append((product, amount, batch.finish))
    # What is left over at the end makes up the number.
    while len(rows) < N_MET:
        product = max(left, key=lambda name: left[name])
        amount = max(10.0, round(min(wanted, 0.5 * left[product])))
        left[product] -= amount
        rows.append((product, amount, HORIZON))
    spare = (bound or total) - sum(amount for _, amount, _ in rows)
    beyond = [
        (random.choice(PRODUCTS), round(spare * random.uniform(1.1, 1.6)), random.uniform(20, 160))
        for _ in range(N_BEYOND)
    ]
    orders = [
        so.Order(f"met_{n}", name, amount, min(HORIZON, round(due + 0.005, 2)))
        for n, (name, amount, due) in enumerate(rows, 1)
    ]
    orders += [
        so.Order(f"beyond_{n}", name, amount, round(due, 1))
        for n, (name, amount, due) in enumerate(beyond, 1)
    ]
    random.shuffle(orders)
    return tuple(orders)


def main(*, seed: int = 0, seconds: float = 60.0, share: float = 0.85) -> str:
    """Ask for the least lateness of the 60 orders; say which are missing, and what is proven."""
    network = paint_shop()
    orders = draw_orders(network, seed, share=share)
    started = time.process_time()
    found = so.find_schedule(
        network,
        Problem(objective="tardiness", horizon=HORIZON, orders=orders),
        time_limit=seconds,
    )
    used = time.process_time() - started
    if found.schedule is None:
        return f"no schedule in {used:.0f} CPU s"
    assert so.find_violations(found.schedule, network) == []
    missing = sorted(s.order.id for s in found.schedule.orders if s.missing)
    late = [s for s in found.schedule.orders if not s.missing and s.lateness(HORIZON) > 1e-4]
    beyond = sum(name.startswith("beyond") for name in missing)
    return (
        f"{used:.0f} CPU s: {N_MET + N_BEYOND - len(missing)} of {len(orders)} orders delivered, "
        f"{len(late)} of them late; {len(missing)} missing ({beyond} of the 12 large ones), "
        f"at least {found.missing_bound} must be; lateness {found.result.objective:.6g}, bound "
        f"{found.bound}; stopped: {found.stopped}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--share", type=float, default=0.85)
    print(main(**vars(parser.parse_args())))
