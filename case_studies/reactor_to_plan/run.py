"""From a reactor's operating point to a week's plan: where the two packages meet.

Run `python case_studies/reactor_to_plan/run.py`; everything is written to results/reactor_to_plan/.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pyomo.environ as pyo

import reactor_yield as ry
import stnopt as so
from reactor_yield.data.dataset import MODE_1
from stnopt.files import files_together

HANDLES = ("m", "P")  # what the operator sets: coolant flow (mol/min) and pressure (atm)
N_SPREADS = 3.0  # the envelope reaches this many of the recipe's spreads to either side of its mean
LEAST_CONVERSION = 0.965  # with 0.98 no point keeps 99 % of the draws below 750 K
CRITICAL = ry.REFERENCE.critical_temperature
SEED = 0
MOST_TRIES = 20
COVERAGE, N_BATCHES = 0.9, 6  # the batches of a day make what the lower recipe says in 90 % of days
N_GRID = 15  # grid lines of the piecewise-linear yield in each direction
MOLAR_MASS = {"A": 28.0, "B": 16.0}  # g/mol, stated, since the reference names no substances
MIN_BATCH = 20.0  # kg
HORIZON = 12.0  # h of production a day
DEMAND = {"Mon": 70.0, "Tue": 95.0, "Wed": 150.0, "Thu": 90.0, "Fri": 110.0}  # kg of C
PERIOD_LIMIT, PLAN_LIMIT = 60.0, 600.0  # s


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPoint:
    """Handles chosen, what was predicted there, and what the simulator says."""

    name: str
    handles: dict[str, float]
    gap: float
    predicted: dict[str, float]
    true: dict[str, float]
    certificates: dict[str, ry.Certificate]
    n_tried: int = 0


@dataclass(slots=True, kw_only=True)
class Week:
    """A plan, and how often the simulator makes what it promises.

    `chances` are shares of simulated weeks or days: `day`, a day makes what is planned for it;
    `total`, the week makes what is planned in all; `deliveries`, every delivery of the week leaves
    on its day, from that day's production and what was left over before.
    """

    which: str
    problem: so.PlanningProblem
    search: so.PlanSearch
    chances: dict[str, float] | None = None

    def simulate_chances(self, made: np.ndarray) -> None:
        """Compare the plan with days of simulated batches, (n, n_batches) per amount of batch."""
        plan, verification = self.search.plan, self.search.verification
        days = {check.period: check for check in verification.checks}
        rng = np.random.default_rng(SEED)
        stock, total = np.zeros((2, len(made)))
        on_time = np.ones(len(made), dtype=bool)
        held = []
        for day in self.problem.periods:
            if day in days:
                batches = days[day].schedule.batches
                sizes = np.array([b.size for b in batches if b.task == "React"])
                separated = sum(b.size for b in batches if b.task == "Separate")
                # Batches of all simulated ones at random; the crude of a day is one mixture.
                drawn = made.ravel()[rng.integers(made.size, size=(len(made), len(sizes)))]
                produced = separated * (drawn @ sizes) / sizes.sum()
                planned = days[day].planned["C"]
                held.append(produced >= planned - 1e-9)
                total += produced - planned
                stock += produced
            leaves = sum(v for (_, _, when, _), v in plan.shipments.items() if when == day)
            on_time &= stock >= leaves - 1e-9
            stock = np.maximum(stock - leaves, 0.0)
        self.chances = {
            "day": float(np.mean(held)),
            "total": float(np.mean(total >= -1e-9)),
            "deliveries": float(on_time.mean()),
        }

    def __str__(self) -> str:
        """Say what is planned, what it costs, and how often it is met."""
        found, share = self.search, self.chances or {}
        amounts = self.search.plan.to_frame().groupby("period", sort=False)["amount"].sum()
        lines = [
            f"{self.which}: cost {found.cost:.1f}, none below {found.bound:.1f} "
            f"({100 * found.gap:.1f} %); {found.verification}",
            "  C planned: " + ", ".join(f"{day} {kg:.0f}" for day, kg in amounts.items()) + " kg",
            "  simulated: "
            + ", ".join(
                f"{what} {100 * share[key]:.1f} %"
                for key, what in (
                    ("day", "a day's production made in"),
                    ("total", "the week's in"),
                    ("deliveries", "every delivery on its day in"),
                )
                if key in share
            ),
        ]
        return "\n".join(lines)

    def to_dict(self) -> dict[str, object]:
        """Return what the summary keeps."""
        production = {day: v for (_, day, _), v in self.search.plan.production.items()}
        return {
            "cost": self.search.cost,
            "bound": self.search.bound,
            "verified": self.search.verified,
            "production": production,
            "chances": self.chances,
        }


def plan_week(outlet: dict[str, float], which: str) -> Week:
    """Plan a week of the plant: every day has a replayed schedule."""
    site = so.Facility(
        name="site",
        network=build_plant_from_outlet(outlet),
        horizon=HORIZON,
        storage={"C": 150.0},
        holding_cost={"C": 0.05},
    )
    problem = so.PlanningProblem(
        periods=tuple(DEMAND),
        facilities={"site": site},
        demand=tuple(so.Demand(day, "C", amount) for day, amount in DEMAND.items()),
        backlog_cost={"C": 3.0},
        lost_cost={"C": 20.0},
    )
    search = so.find_plan(problem, time_limit=PLAN_LIMIT, period_limit=PERIOD_LIMIT)
    if not search.verified:
        message = f"{which}: no plan was found whose every day has a schedule ({search.stopped})"
        raise RuntimeError(message)
    return Week(which=which, problem=problem, search=search)


def main(results: Path, n_draws: int = 10_000, n_rows: int = 10_000) -> dict[str, object]:
    """Run the study: every step hands its result to the next."""
    results.mkdir(parents=True, exist_ok=True)
    spread = MODE_1.spread()
    ranges = {
        c: (MODE_1.mean[c] - N_SPREADS * spread[c], MODE_1.mean[c] + N_SPREADS * spread[c])
        for c in HANDLES
    }

    step("yield and conversion learned from generated data of mode 1")
    data = ry.generate_dataset(n_rows)
    mode_1 = data[data["Mode"] == 1]
    models = {
        c: ry.fit_yield_model(mode_1, model="gp", target=c, n_points=2_500) for c in ("Yc", "Xa")
    }

    step(f"the region where at most 1 % of the recipe's own spread exceeds {CRITICAL:g} K")
    safe = ry.safe_region(
        simulate,
        ranges | {c: mean for c, mean in MODE_1.mean.items() if c not in HANDLES},
        MODE_1,
        limit=CRITICAL,
        n_draws=n_draws,
        seed=SEED,
        prefer=lambda table: (
            models["Yc"]
            .expect(table)
            .where(models["Xa"].expect(table) >= LEAST_CONVERSION, -np.inf)
        ),
    )
    region = so.region_from_sklearn(safe.region.estimator, safe.region.inputs, feasible_class=-1)
    region = replace(region, lower=safe.region.lower, upper=safe.region.upper)
    unsafe_share = float(1 - safe.region.points["safe"].mean())
    print(f"{100 * unsafe_share:.0f} % of {len(safe.region.points)} sampled points are not safe")

    step("operating points chosen inside it, to a proven gap, and certified on fresh draws")
    grid = tabulate(models, ranges)
    points = [
        certify_inward("highest yield", grid, region, models, "Yc", n_draws),
        certify_inward("least coolant", grid, region, models, "m", n_draws),
    ]
    best = search_finely(ranges, n_draws)
    for point in points:
        print(f"{point.name}: {point.handles}, predicted {point.predicted}, true {point.true}")
        for name, found in point.certificates.items():
            print(
                f"  handles {name}: {found.n_exceeded} of {found.n_draws} draws above "
                f"{CRITICAL:g} K, at most {100 * found.upper_limit:.2f} % (95 %)"
            )
    print(f"best yield of a fine search under the same test: {best['Yc']:.5f} at {best['handles']}")

    step(f"the recipe of a day's {N_BATCHES} batches, at the mean and at its lower quantile")
    conditions = dict(MODE_1.mean) | points[0].handles
    recipe = ry.recipe_from_yield(
        models["Yc"],
        conditions,
        conversion=models["Xa"],
        disturbances=MODE_1,
        outlet=outlet_mass_fractions,
        product="C",
        coverage=COVERAGE,
        n_batches=N_BATCHES,
        max_batch=90.0,
        min_batch=MIN_BATCH,
        throughput=feed_throughput(),
        seed=SEED,
    )
    made = ry.simulate_campaigns(
        make_product, conditions, n_batches=N_BATCHES, disturbances=MODE_1, n_campaigns=n_draws
    )
    chances = {name: recipe.chance(made.sum(axis=1), name) for name in ("mean", "lower")}
    for name, chance in chances.items():
        print(f"{name}: {recipe.fractions[name]:.3f} of a batch, met in {100 * chance:.1f} %")

    step("a week of the plant with that reactor, planned by both")
    weeks = {}
    for which in ("mean", "lower"):
        weeks[which] = week = plan_week(recipe.tasks[which]["React"]["produces"], which)
        week.simulate_chances(made)
        print(week)

    figures = draw(ranges, safe.region, region, grid, points, weeks["lower"])
    summary = {
        "unsafe_share": unsafe_share,
        "support_vectors": len(region.dual_coefs),
        "points": [
            {
                "name": p.name,
                "handles": p.handles,
                "gap": p.gap,
                "predicted": p.predicted,
                "true": p.true,
                "n_tried": p.n_tried,
                "exceeded": {k: [c.n_exceeded, c.n_draws] for k, c in p.certificates.items()},
            }
            for p in points
        ],
        "best_true_yield": best["Yc"],
        "yield_short_of_best": 1 - points[0].true["Yc"] / best["Yc"],
        "fractions": dict(recipe.fractions),
        "chances": chances,
        "plans": {name: week.to_dict() for name, week in weeks.items()},
    }
    with files_together() as outputs:
        for name, figure in figures.items():
            outputs.write_by(results / name, partial(figure.savefig, dpi=130))
        outputs.write_text(results / "summary.json", json.dumps(summary, indent=2) + "\n")
    plt.close("all")
    return summary


def simulate(table: pd.DataFrame) -> pd.DataFrame:
    """Simulate rows as exactly as a hot spot's chance needs."""
    return ry.simulate_reactor(table, rtol=1e-6, atol=1e-8)


def make_product(table: pd.DataFrame) -> np.ndarray:
    """Product C per amount of batch, from the simulator."""
    found = simulate(table)
    return outlet_mass_fractions(found["Yc"].to_numpy(), found["Xa"].to_numpy())["C"]


def certify_inward(
    name: str,
    grid: pd.DataFrame,
    region: so.KernelRegion,
    models: dict[str, ry.YieldModel],
    aim: str,
    n_draws: int,
) -> OperatingPoint:
    """Choose a point; while a test of it fails, move inward by a wider margin."""
    exact = {c: s for c, s in MODE_1.spread().items() if c not in HANDLES}
    test = partial(ry.certify_point, simulate, limit=CRITICAL, n_draws=n_draws)
    mesh = mesh_of({c: (grid[c].min(), grid[c].max()) for c in HANDLES}, 41)
    converted = models["Xa"].expect(full_conditions(mesh)) >= LEAST_CONVERSION
    deepest = -float(region.decision(mesh[converted].to_numpy()).min())
    for number in range(MOST_TRIES):
        margin = deepest * number / MOST_TRIES
        point = choose_point(name, grid, region, margin, models, aim)
        conditions = dict(MODE_1.mean) | point.handles
        # A trial with a reserve, so that nearly every repetition of the certificate holds.
        trial = test(conditions, MODE_1, seed=SEED + 1 + number)
        if trial.share_exceeded > 0.5 * (1 - trial.share):
            continue
        certificates = {
            "vary": test(conditions, MODE_1, seed=SEED + 1_001),
            "exact": test(conditions, exact, seed=SEED + 1_002),
        }
        if all(c.holds for c in certificates.values()):
            return replace(point, certificates=certificates, n_tried=number)
    message = f"{name}: no point could be certified in {MOST_TRIES} tries"
    raise RuntimeError(message)


def mesh_of(ranges: dict[str, tuple[float, float]], n: int) -> pd.DataFrame:
    """Return n times n pairs of the handles."""
    first, second = np.meshgrid(*(np.linspace(*ranges[c], n) for c in HANDLES))
    return pd.DataFrame({HANDLES[0]: first.ravel(), HANDLES[1]: second.ravel()})


def full_conditions(handles: pd.DataFrame) -> pd.DataFrame:
    """Add the other conditions, at the recipe's means."""
    others = {c: mean for c, mean in MODE_1.mean.items() if c not in handles.columns}
    return handles.assign(**others)


def tabulate(
    models: dict[str, ry.YieldModel], envelope: dict[str, tuple[float, float]]
) -> pd.DataFrame:
    """Tabulate predicted yield and conversion on a grid of the handles."""
    first, second = (np.linspace(*envelope[c], N_GRID) for c in HANDLES)
    i, j = (a.ravel() for a in np.meshgrid(range(N_GRID), range(N_GRID), indexing="ij"))
    grid = pd.DataFrame({HANDLES[0]: first[i], HANDLES[1]: second[j]})
    conditions = full_conditions(grid)
    grid["Yc"] = models["Yc"].predict(conditions)["Yc"]
    grid["Xa"] = models["Xa"].expect(conditions)
    return grid.assign(i=i, j=j)


def build_operating_model(grid: pd.DataFrame) -> pyo.ConcreteModel:
    """Tie handles, yield and conversion together on a triangulated grid.

    A point is a mixture `weight` of the grid's nodes, and only the three nodes of the one chosen
    triangle
    may have weight: yield and conversion are then their linear interpolation, without a sign of
    curvature assumed.
    """
    m = pyo.ConcreteModel(name="operating point")
    number = {(row.i, row.j): node for node, row in enumerate(grid.itertuples())}
    triangles = [
        corners
        for i in range(N_GRID - 1)
        for j in range(N_GRID - 1)
        for corners in (
            (number[i, j], number[i + 1, j], number[i + 1, j + 1]),
            (number[i, j], number[i, j + 1], number[i + 1, j + 1]),
        )
    ]
    m.NODES = pyo.RangeSet(0, len(grid) - 1)
    m.TRIANGLES = pyo.RangeSet(0, len(triangles) - 1)
    m.weight = pyo.Var(m.NODES, bounds=(0, 1))
    m.chosen = pyo.Var(m.TRIANGLES, domain=pyo.Binary)
    m.handle = pyo.Var(HANDLES, bounds=lambda m, c: (grid[c].min(), grid[c].max()))
    m.product_yield = pyo.Var(bounds=(0, 1))
    m.conversion = pyo.Var(bounds=(0, 1))
    touching = {node: [t for t, c in enumerate(triangles) if node in c] for node in number.values()}

    def mixture(m, column):
        return sum(m.weight[n] * float(grid[column].iloc[n]) for n in m.NODES)

    m.one_mixture = pyo.Constraint(expr=sum(m.weight[n] for n in m.NODES) == 1)
    m.one_triangle = pyo.Constraint(expr=sum(m.chosen[t] for t in m.TRIANGLES) == 1)

    @m.Constraint(m.NODES)
    def only_its_corners(m, node):
        return m.weight[node] <= sum(m.chosen[t] for t in touching[node])

    @m.Constraint(HANDLES)
    def handle_of_mixture(m, column):
        return m.handle[column] == mixture(m, column)

    m.yield_of_mixture = pyo.Constraint(expr=m.product_yield == mixture(m, "Yc"))
    m.conversion_of_mixture = pyo.Constraint(expr=m.conversion == mixture(m, "Xa"))
    m.enough_conversion = pyo.Constraint(expr=m.conversion >= LEAST_CONVERSION)
    return m


def choose_point(
    name: str,
    grid: pd.DataFrame,
    region: so.KernelRegion,
    margin: float,
    models: dict[str, ry.YieldModel],
    aim: str,
) -> OperatingPoint:
    """Maximise the yield, or minimise the coolant, inside the safe region."""
    m = build_operating_model(grid)
    if aim == "Yc":
        m.objective = pyo.Objective(expr=m.product_yield, sense=pyo.maximize)
    else:
        m.objective = pyo.Objective(expr=m.handle[aim], sense=pyo.minimize)
    result = so.solve_over_region(
        m, region, {c: m.handle[c] for c in HANDLES}, margin=margin, time_limit=120.0
    )
    if result.status is not so.Status.OPTIMAL:
        message = f"{name}: {result.status.name} after {result.wall_time:.0f} s"
        raise RuntimeError(message)
    handles = {c: float(pyo.value(m.handle[c])) for c in HANDLES}
    conditions = full_conditions(pd.DataFrame([handles]))
    bounds = models["Yc"].interval(conditions).iloc[0]
    true = ry.simulate_reactor(conditions).iloc[0]
    return OperatingPoint(
        name=name,
        handles=handles,
        gap=float(result.gap or 0.0),
        predicted={
            "Yc": float(models["Yc"].predict(conditions)["Yc"].iloc[0]),
            "lower": float(bounds["lower"]),
            "upper": float(bounds["upper"]),
            "Xa": float(models["Xa"].predict(conditions)["Xa"].iloc[0]),
        },
        true={c: float(true[c]) for c in ("Yc", "Xa", "T_max")},
        certificates={},
    )


def search_finely(
    ranges: dict[str, tuple[float, float]], n_draws: int, n: int = 41
) -> dict[str, object]:
    """Best true yield on a fine grid of the simulator, converted enough, under the same test."""
    handles = mesh_of(ranges, n)
    found = simulate(full_conditions(handles))
    allowed = found[(found["T_max"] <= CRITICAL) & (found["Xa"] >= LEAST_CONVERSION)]
    for row in allowed["Yc"].sort_values(ascending=False).index:
        conditions = dict(MODE_1.mean) | handles.loc[row].to_dict()
        few = ry.certify_point(simulate, conditions, MODE_1, limit=CRITICAL, n_draws=400)
        if few.n_exceeded > 14:  # 1 % would give that many in one of ten thousand repetitions
            continue
        if ry.certify_point(simulate, conditions, MODE_1, limit=CRITICAL, n_draws=n_draws).holds:
            return {"Yc": float(found.loc[row, "Yc"]), "handles": handles.loc[row].to_dict()}
    message = "no point of the fine search passes the test"
    raise RuntimeError(message)


def outlet_mass_fractions(product_yield: float, conversion: float) -> dict[str, float]:
    """Mass fractions of what leaves the reactor, from molar yield and conversion.

    Per minute, with n_C = Y X F_A0 and F_A0 - F_A = n_C + 5/3 n_D (docs/reactor/model.md):
    n_D = 3/5 (1 - Y) X F_A0, F_B = F_B0 - 2 (n_C + n_D). Molar masses follow from the reactions:
    M_C = M_A + 2 M_B, M_D = (2 M_A + 3 M_C) / 3. So mass in equals mass out.
    """
    feed_a, feed_b = MODE_1.mean["Fao"], MODE_1.mean["Fbo"]
    made_c = product_yield * conversion * feed_a
    made_d = 0.6 * (1 - product_yield) * conversion * feed_a
    mass = MOLAR_MASS | {"C": MOLAR_MASS["A"] + 2 * MOLAR_MASS["B"]}
    mass["D"] = (2 * mass["A"] + 3 * mass["C"]) / 3
    flows = {
        "A": feed_a * (1 - conversion),
        "B": feed_b - 2 * (made_c + made_d),
        "C": made_c,
        "D": made_d,
    }
    total = feed_a * mass["A"] + feed_b * mass["B"]
    return {s: flows[s] * mass[s] / total for s in flows}


def feed_throughput() -> float:
    """Mass flow of the feeds, kg/h."""
    return sum(MODE_1.mean[f"F{s.lower()}o"] * MOLAR_MASS[s] for s in ("A", "B")) * 60 / 1000


def build_plant(product_yield: float, conversion: float) -> so.Network:
    """Put a plant around the reactor at one yield and conversion."""
    return build_plant_from_outlet(outlet_mass_fractions(product_yield, conversion))


def build_plant_from_outlet(outlet: dict[str, float]) -> so.Network:
    """Put a plant around the reactor: mix the feeds, react, separate; unreacted A and B are states.

    The reactor's batch time is amount / throughput, the mass flow of the feeds.
    """
    feed = {s: MODE_1.mean[f"F{s.lower()}o"] * MOLAR_MASS[s] for s in ("A", "B")}  # g/min
    throughput = feed_throughput()
    mixed = {s: f / sum(feed.values()) for s, f in feed.items()}
    return so.read_network(
        {
            "name": "reactor plant",
            "amount_unit": "kg",
            "time_unit": "h",
            "states": {
                "A": {"initial": "unlimited", "cost": 2.0},
                "B": {"initial": "unlimited", "cost": 1.0},
                "Feed": {"capacity": 120.0},
                "Crude": {"capacity": 120.0},
                "C": {"price": 12.0},
                "D": {"price": 1.0},
                "A left": {},
                "B left": {},
            },
            "tasks": {
                "Mix": {
                    "consumes": mixed,
                    "produces": {"Feed": 1.0},
                    "units": {"Mixer": {"max_batch": 60.0, "fixed_time": 1.0}},
                },
                "React": {
                    "consumes": {"Feed": 1.0},
                    "produces": {"Crude": 1.0},
                    "units": {
                        "Reactor": {
                            "min_batch": MIN_BATCH,
                            "max_batch": 90.0,
                            "fixed_time": 0.0,
                            "time_per_amount": 1 / throughput,
                        }
                    },
                },
                "Separate": {
                    "consumes": {"Crude": 1.0},
                    "produces": {
                        "C": outlet["C"],
                        "D": outlet["D"],
                        "A left": outlet["A"],
                        "B left": outlet["B"],
                    },
                    "units": {
                        "Still": {"max_batch": 80.0, "fixed_time": 1.0, "time_per_amount": 0.02}
                    },
                },
            },
        }
    )


def draw(window, safe, region, grid, points, week) -> dict[str, plt.Figure]:
    """Safe region with the chosen points, the plant, the week's plan and its busiest day."""
    figure, ax = plt.subplots(figsize=(6.4, 4.6), layout="constrained")
    within = safe.points["safe"].to_numpy()
    for rows, color, label in (
        (within, "#4477aa", "at most 1 % run away"),
        (~within, "#cc6677", "more run away"),
    ):
        shown = safe.points[rows]
        ax.scatter(shown[HANDLES[0]], shown[HANDLES[1]], s=6, color=color, label=label, alpha=0.6)
    first, second = (np.linspace(*window[c], 200) for c in HANDLES)
    mesh = np.column_stack([a.ravel() for a in np.meshgrid(first, second)])
    decision = region.decision(mesh).reshape(200, 200)
    ax.contour(first, second, decision, levels=[0], colors="black", linewidths=1.5)
    ax.plot([], [], color="black", label="edge learned")
    ax.plot([], [], color="#777777", label="yield predicted")
    table = grid.pivot_table(index="j", columns="i", values="Yc").to_numpy()
    levels = np.round(np.arange(0.70, 1.0, 0.04), 2)
    lines = ax.contour(
        np.unique(grid[HANDLES[0]]),
        np.unique(grid[HANDLES[1]]),
        table,
        levels=levels,
        colors="#777777",
        linewidths=0.7,
    )
    ax.clabel(lines, fontsize=7, fmt="%.2f")
    converted = grid.pivot_table(index="j", columns="i", values="Xa").to_numpy()
    places = (np.unique(grid[c]) for c in HANDLES)
    ax.contour(*places, converted, levels=[LEAST_CONVERSION], colors="#228833", linestyles="--")
    ax.plot([], [], "--", color="#228833", label=f"conversion {LEAST_CONVERSION:g} (predicted)")
    for point, marker in zip(points, "*D", strict=True):
        place = [point.handles[c] for c in HANDLES]
        ax.plot(
            *place,
            marker,
            color="black",
            markersize=11 if marker == "*" else 7,
            label=point.name,
            clip_on=False,
        )
    ax.set(xlabel="coolant flow m (mol/min)", ylabel="pressure P (atm)")
    ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False)
    ax.set_title("where 99 % of the recipe's spread stays below 750 K", fontsize="medium")
    plant = week.problem.facilities["site"].network
    busiest = max(week.search.verification.checks, key=lambda check: check.planned["C"])
    plan = so.plot_plan(week.search.plan, problem=week.problem, facility="site", product="C")
    return {
        "operating_window.png": figure,
        "network.png": so.plot_network(plant).figure,
        "gantt.png": so.plot_gantt(busiest.schedule, network=plant).figure,
        "plan.png": plan.figure,
    }


def step(title: str) -> None:
    """Say what comes next."""
    print(f"\n## {title}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("results/reactor_to_plan"))
    mpl.use("Agg")
    main(parser.parse_args().results)
