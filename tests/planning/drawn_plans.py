"""Drawn planning problems and their least cost, by one integer program without the library's code.

Plants have one or two reactors that make A and B from raw materials in batches of a least and a
most size; a batch takes so many hours, and more per amount. Any batches whose hours fit into a
reactor's period can be run one after the other, so that numbers and total sizes say it all. Drawn
are unequal periods, closures, initial stocks, storage limits, safety stocks, receipts, cost and
supply of raw material per period, prices, backlog, lost sales, one or two sites, and transport with
cost, capacity and lead.
"""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

PRODUCTS = ("A", "B")


def draw(seed: int) -> dict[str, Any]:
    """Draw a planning file as a mapping."""
    rng = Random(seed)
    n = rng.choice((2, 3, 4))
    names = ("north", "south")[: rng.choice((1, 1, 2))]
    facilities = {name: _facility(rng, name, n) for name in names}
    customers = ("shop", "export")[: rng.choice((1, 2))]
    demand = [
        {"period": t, "product": p, "customer": c, "amount": round(rng.uniform(0, 20), 1)}
        for t in range(1, n + 1)
        for p in PRODUCTS
        for c in customers
        if t == 1 or rng.random() < 0.8
    ]
    wanted = {row["period"] for row in demand}
    demand += [
        {"period": t, "product": "A", "customer": customers[0], "amount": 0}
        for t in range(1, n + 1)
        if t not in wanted
    ]
    content: dict[str, Any] = {"periods": n, "facilities": facilities, "demand": demand}
    content["lanes"] = _lanes(rng, names, customers)
    if rng.random() < 0.4:
        content["price"] = {p: rng.choice((2, 6)) for p in PRODUCTS}
    if late := [p for p in PRODUCTS if rng.random() < 0.7]:
        content["backlog_cost"] = {p: rng.choice((0.5, 2)) for p in late}
    if lost := [p for p in PRODUCTS if rng.random() < 0.9]:
        content["lost_cost"] = {p: rng.choice((4, 25)) for p in lost}
    return content


def _facility(rng: Random, name: str, n: int) -> dict[str, Any]:
    least = rng.choice((0, 3))
    tasks = {
        f"Make{p}": {
            "consumes": {f"Raw{p}": 1},
            "produces": {p: 1},
            "units": {
                unit: {
                    "min_batch": least,
                    "max_batch": 10,
                    "fixed_time": rng.choice((1.5, 2, 3)),
                    "time_per_amount": rng.choice((0, 0.1)),
                    "fixed_cost": rng.choice((0, 3)),
                }
                for unit in ("R1", "R2")[: rng.choice((1, 1, 2))]
            },
        }
        for p in PRODUCTS
    }
    states: dict[str, dict[str, Any]] = {
        f"Raw{p}": {"initial": "unlimited", "cost": 1} for p in PRODUCTS
    }
    states |= {p: {} for p in PRODUCTS}
    plant = {"name": name, "states": states, "tasks": tasks}
    site: dict[str, Any] = {"plant": plant, "horizon": [rng.choice((5, 8)) for _ in range(n)]}
    if rng.random() < 0.3:
        site["closed"] = [str(rng.randint(1, n))]
    if rng.random() < 0.5:
        site["stock"] = {p: round(rng.uniform(0, 10), 1) for p in PRODUCTS}
    if rng.random() < 0.5:
        site["storage"] = {p: rng.choice((12, 20)) for p in PRODUCTS}
    if rng.random() < 0.4:
        site["safety"] = {"A": 5}
        site["safety_cost"] = {"A": rng.choice((0.5, 3))}
    site["holding_cost"] = {p: rng.choice((0, 0.2)) for p in PRODUCTS}
    if rng.random() < 0.4:
        site["receipts"] = {"B": [rng.choice((0, 4)) for _ in range(n)]}
    if rng.random() < 0.5:
        site["raw_cost"] = {"RawA": [rng.choice((1, 2)) for _ in range(n)]}
    if rng.random() < 0.3:
        site["supply"] = {rng.choice(("RawA", "RawB")): [rng.choice((0, 8, 25)) for _ in range(n)]}
    return site


def _lanes(rng: Random, names: tuple[str, ...], customers: tuple[str, ...]) -> list[dict[str, Any]]:
    lanes = []
    ends = [(a, b) for a in names for b in (*names, *customers) if a != b]
    for source, to in ends:
        if rng.random() < 0.6:
            lane: dict[str, Any] = {"from": source, "to": to, "cost": rng.choice((0, 0.3))}
            if rng.random() < 0.5:
                lane["capacity"] = rng.choice((0, 12, 30))
            if rng.random() < 0.4:
                lane["lead"] = rng.choice((1, 1, 2, 5))
            if rng.random() < 0.2:
                lane["products"] = ["A"]
            lanes.append(lane)
    return lanes


class Program:
    """Rows and columns of an integer program, written down one by one."""

    def __init__(self) -> None:
        self.cost: list[float] = []
        self.upper: list[float] = []
        self.whole: list[int] = []
        self.rows: list[tuple[dict[int, float], float, float]] = []

    def column(self, cost: float = 0.0, upper: float = np.inf, *, whole: bool = False) -> int:
        """Add a variable from 0 to `upper`."""
        self.cost.append(cost)
        self.upper.append(upper)
        self.whole.append(int(whole))
        return len(self.cost) - 1

    def row(self, entries: list[tuple[int, float]], low: float, high: float) -> None:
        """Add low <= sum of entries <= high; a column may be there more than once."""
        row: dict[int, float] = {}
        for column, value in entries:
            row[column] = row.get(column, 0.0) + value
        self.rows.append((row, low, high))

    def least(self) -> float | None:
        """Minimise; None if it is infeasible."""
        matrix = np.zeros((len(self.rows), len(self.cost)))
        for i, (row, _, _) in enumerate(self.rows):
            for column, value in row.items():
                matrix[i, column] = value
        limits = LinearConstraint(
            matrix, [low for _, low, _ in self.rows], [high for _, _, high in self.rows]
        )
        found = milp(
            self.cost,
            integrality=self.whole,
            bounds=Bounds(0, self.upper),
            constraints=limits,
            options={"mip_rel_gap": 1e-9},
        )
        assert found.status in (0, 2), found.message
        return None if found.status == 2 else float(found.fun)


def least_cost(content: dict[str, Any]) -> float | None:
    """Cost of the best plan of a drawn problem, all batches of all periods in one; None if none."""
    n, sites = content["periods"], content["facilities"]
    customers = list(dict.fromkeys(row["customer"] for row in content["demand"]))
    program = Program()
    # what flows into (+) or out of (-) a site's stock, or into a customer, by product and period
    flows: dict[tuple[str, str, int], list[tuple[int, float]]] = {
        (place, p, t): [] for place in (*sites, *customers) for p in PRODUCTS for t in range(n)
    }
    for name, site in sites.items():
        _add_batches(program, name, site, n, flows)
    _add_transport(program, content, customers, flows)
    for name, site in sites.items():
        _add_stock(program, name, site, n, flows)
    for customer in customers:
        _add_customer(program, content, customer, flows)
    return program.least()


def _each(value: Any, t: int) -> float:
    return value[t] if isinstance(value, list) else value


def _add_batches(program: Program, name: str, site: dict[str, Any], n: int, flows: Any) -> None:
    tasks = site["plant"]["tasks"]
    for t in range(n):
        if str(t + 1) in site.get("closed", ()):
            continue
        hours: dict[str, list[tuple[int, float]]] = {}
        for p in PRODUCTS:
            raw = _each(site.get("raw_cost", {}).get(f"Raw{p}", 1), t)
            sizes = []
            for unit, fit in tasks[f"Make{p}"]["units"].items():
                number = program.column(fit["fixed_cost"], whole=True)
                size = program.column(raw)
                program.row([(size, 1), (number, -fit["max_batch"])], -np.inf, 0)
                program.row([(size, 1), (number, -fit["min_batch"])], 0, np.inf)
                taken = [(number, fit["fixed_time"]), (size, fit["time_per_amount"])]
                hours[unit] = hours.get(unit, []) + taken
                sizes.append((size, 1.0))
            # what is made beyond the plan is left out of account
            used = program.column()
            program.row([(used, 1), *((size, -1) for size, _ in sizes)], -np.inf, 0)
            flows[name, p, t].append((used, 1))
            supply = site.get("supply", {}).get(f"Raw{p}")
            if supply is not None:
                program.row(sizes, 0, _each(supply, t))
        for taken in hours.values():
            program.row(taken, 0, site["horizon"][t])


def _add_transport(
    program: Program, content: dict[str, Any], customers: list[str], flows: Any
) -> None:
    n, sites = content["periods"], content["facilities"]
    lanes = list(content["lanes"])
    lanes += [
        {"from": name, "to": customer}
        for customer in customers
        if not any(lane["to"] == customer for lane in content["lanes"])
        for name in sites
    ]
    for lane in lanes:
        for t in range(n):
            arrives = t + lane.get("lead", 0)
            if arrives >= n:
                continue
            sent = []
            for p in lane.get("products", PRODUCTS):
                earned = content.get("price", {}).get(p, 0) if lane["to"] in customers else 0
                column = program.column(lane.get("cost", 0) - earned)
                flows[lane["from"], p, t].append((column, -1))
                flows[lane["to"], p, arrives].append((column, 1))
                sent.append((column, 1.0))
            program.row(sent, 0, lane.get("capacity", np.inf))


def _add_stock(program: Program, name: str, site: dict[str, Any], n: int, flows: Any) -> None:
    for p in PRODUCTS:
        before: list[tuple[int, float]] = []
        level = site.get("safety", {}).get(p)
        for t in range(n):
            most = site.get("storage", {}).get(p, np.inf)
            stock = program.column(site["holding_cost"][p], most)
            came = _each(site.get("receipts", {}).get(p, 0), t)
            came += site.get("stock", {}).get(p, 0) if t == 0 else 0
            entries = [(stock, 1), *before, *((c, -sign) for c, sign in flows[name, p, t])]
            program.row(entries, came, came)
            before = [(stock, -1)]
            if level is not None:
                below = program.column(site["safety_cost"][p])
                program.row([(stock, 1), (below, 1)], level, np.inf)


def _add_customer(program: Program, content: dict[str, Any], customer: str, flows: Any) -> None:
    n = content["periods"]
    for p in PRODUCTS:
        before: list[tuple[int, float]] = []
        for t in range(n):
            wanted = sum(
                row["amount"]
                for row in content["demand"]
                if (row["customer"], row["product"], row["period"]) == (customer, p, t + 1)
            )
            may_wait = p in content.get("backlog_cost", {}) and t < n - 1
            late = program.column(
                content.get("backlog_cost", {}).get(p, 0), np.inf if may_wait else 0
            )
            may_lose = p in content.get("lost_cost", {})
            lost = program.column(content.get("lost_cost", {}).get(p, 0), np.inf if may_lose else 0)
            # owed before + wanted - arrived = owed + lost
            entries = [(late, 1), (lost, 1), *before, *flows[customer, p, t]]
            program.row(entries, wanted, wanted)
            before = [(late, -1)]
