"""Which learner for the feasible region? The table and figures of docs/why_svc.md.

Run as ``python benchmarks/why_svc.py`` (with the extra ``omlt``); every classifier sees the same
labels, and every error is counted on 10,000 fresh targets of the full box that the certified region
labels exactly.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import onnx
import pandas as pd
import pyomo.environ as pyo
from omlt import OffsetScaling, OmltBlock
from omlt.gbt import GBTBigMFormulation, GradientBoostedTreeModel
from omlt.neuralnet import NetworkDefinition, ReluBigMFormulation
from omlt.neuralnet.layer import DenseLayer, InputLayer
from scipy.spatial import ConvexHull
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import stnopt as so
from stnopt.files import files_together

mpl.use("Agg")
import matplotlib.pyplot as plt

BOX = {"S9": (0.0, 110.0), "S8": (0.0, 110.0)}
SETTINGS: dict[str, Any] = {"horizon": 8, "n_events": 4, "max_span": 0}
FIGURES = Path(__file__).resolve().parents[1] / "docs" / "figures"
N_TEST = 10_000
BUDGETS = (20, 40, 120)


def main() -> str:
    """Write the figures and return the tables."""
    network = so.load_example("ex2")
    certified = so.trace_frontier(network, products=list(BOX), **SETTINGS)
    points = pd.DataFrame(
        np.random.default_rng(2024).uniform(0, 110, size=(N_TEST, 2)), columns=list(BOX)
    )
    truth = certified.label(points)
    samples = so.sample_boundary(network, BOX, n_solves=120, seed=0, **SETTINGS)
    FIGURES.mkdir(exist_ok=True)
    draw_region(certified, samples)
    tables = [compare_learners(certified, samples, points, truth)]
    print(tables[0], flush=True)
    tables.append(compare_samplings(network, certified, points, truth))
    print(tables[1])
    return "\n\n".join(tables)


def compare_learners(
    certified: so.CertifiedRegion,
    samples: so.TargetSamples,
    points: pd.DataFrame,
    truth: np.ndarray,
) -> str:
    """One row per learner, all from the same labels."""
    uniform = so.TargetSamples(
        targets=so.sample_targets(BOX, len(samples.labels), seed=0, method="uniform"),
        labels=certified.label(
            so.sample_targets(BOX, len(samples.labels), seed=0, method="uniform")
        ),
    )
    rows = [
        f"| learner | size | error, {len(samples.labels)} chosen targets | false-feasible |"
        f" false-infeasible | error, {len(samples.labels)} uniform targets |"
        " best mass over it, kg | can be made | CPU s |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, fit in learners(certified).items():
        inside, size, solve_over = fit(samples, points)
        other, _, _ = fit(uniform, points)
        wrong = inside != (truth == -1)
        rows.append(
            f"| {name} | {size} | {100 * wrong.mean():.2f} % |"
            f" {100 * (inside & (truth == 1)).sum() / (truth == 1).sum():.2f} % |"
            f" {100 * (~inside & (truth == -1)).sum() / (truth == -1).sum():.2f} % |"
            f" {100 * (other != (truth == -1)).mean():.2f} % |"
            f" {find_best_mass(solve_over, certified)} |"
        )
    rows.append(
        f"| certified region | {len(certified.vertices)} corners | 0 % (undecided"
        f" {100 * np.mean(truth == 0):.2f} %) | 0 % | 0 % | |"
        f" {find_best_mass(lambda m: solve_over_pieces(m, below(certified)), certified)} |"
    )
    return "\n".join(rows)


def learners(certified: so.CertifiedRegion) -> dict[str, Any]:
    """Every learner as a function: samples and points to answers, size and region, if any."""

    def svc(**options: Any) -> Any:
        def fit(samples: so.TargetSamples, points: pd.DataFrame) -> tuple:
            fitted = so.fit_region(samples, **options)
            size = f"{fitted.report.n_support} support vectors"
            return fitted.region.contains(points), size, partial(solve_over_svc, fitted.region)

        return fit

    def other(make: Any, size: Any, solve_over: Any) -> Any:
        def fit(samples: so.TargetSamples, points: pd.DataFrame) -> tuple:
            model = make().fit(samples.targets, samples.labels)
            return model.predict(points) == -1, size(model), partial(solve_over, model)

        return fit

    def hull(samples: so.TargetSamples, points: pd.DataFrame) -> tuple:
        met = samples.targets[samples.labels == -1].to_numpy()
        facets = ConvexHull(met).equations
        inside = np.all(points.to_numpy() @ facets[:, :2].T + facets[:, 2] <= 1e-9, axis=1)
        piece = (facets[:, :2], -facets[:, 2])
        return inside, f"{len(facets)} facets", lambda m: solve_over_pieces(m, [piece])

    def network() -> Any:
        return make_pipeline(
            StandardScaler(),
            MLPClassifier((16, 16), max_iter=20_000, tol=1e-6, solver="lbfgs", random_state=0),
        )

    return {
        "linear SVC": svc(kernel="linear", C=1e3),
        "RBF SVC": svc(kernel="rbf", C=1e3, gamma=5.0),
        "RBF SVC, certified margin": svc(
            kernel="rbf", C=1e3, gamma=5.0, margin="certified", certified=certified
        ),
        "poly SVC (degree 3)": svc(kernel="poly", C=1e3, coef0=1.0),
        "decision tree": other(
            lambda: DecisionTreeClassifier(random_state=0),
            lambda m: f"{m.get_n_leaves()} leaves",
            solve_over_tree,
        ),
        "network 16-16": other(network, lambda _: "337 weights", solve_over_network),
        "convex hull of feasible": hull,
    }


def find_best_mass(solve_over: Any, certified: so.CertifiedRegion) -> str:
    """Largest mass of both products in a learner's region, whether it can be made, CPU seconds."""
    model = pyo.ConcreteModel()
    model.amount = pyo.Var(list(BOX), bounds=(0, 110))
    model.objective = pyo.Objective(expr=sum(model.amount.values()), sense=pyo.maximize)
    started = time.process_time()
    result = solve_over(model)
    seconds = time.process_time() - started
    if result.objective is None:
        return f"none ({result.status.value}) | | {seconds:.1f}"
    best = [[model.amount[product].value for product in BOX]]
    # A solver's tolerance decides nothing: a little less must be feasible, or it is out of reach.
    can_be_made = certified.label(np.array(best) * (1 - 1e-4))[0] == -1
    return f"{result.objective:.2f} | {'yes' if can_be_made else 'no'} | {seconds:.1f}"


def solve_over_svc(
    region: so.LinearRegion | so.KernelRegion, model: pyo.ConcreteModel
) -> so.SolveResult:
    """Certified global search over a classifier's decision."""
    amounts = {product: model.amount[product] for product in BOX}
    return so.solve_over_region(model, region, amounts, time_limit=20)


def solve_over_pieces(
    model: pyo.ConcreteModel, pieces: list[tuple[np.ndarray, np.ndarray]]
) -> so.SolveResult:
    """MILP: in one of some polyhedra ``A x <= b``, each switched on by a binary."""
    model.chosen = pyo.Var(range(len(pieces)), domain=pyo.Binary)
    model.one = pyo.Constraint(expr=sum(model.chosen.values()) == 1)
    model.rows = pyo.ConstraintList()
    amounts = list(model.amount.values())
    for k, (normals, offsets) in enumerate(pieces):
        for normal, offset in zip(normals, offsets, strict=True):
            most = sum(max(110 * float(w), 0.0) for w in normal) - float(offset)
            value = sum(float(w) * x for w, x in zip(normal, amounts, strict=True))
            model.rows.add(value <= float(offset) + max(most, 0.0) * (1 - model.chosen[k]))
    return so.solve(model)


def below(certified: so.CertifiedRegion) -> list[tuple[np.ndarray, np.ndarray]]:
    """Describe what lies below each segment of the certified boundary as a polyhedron."""
    pieces = []
    for (x1, y1), (x2, y2) in certified.segments:
        run, drop = max(x2 - x1, 0.0), max(y1 - y2, 0.0)
        normals = np.array([[1.0, 0.0], [0.0, 1.0], [drop, run]])
        pieces.append((normals, np.array([x2, y1, drop * x1 + run * y1])))
    return pieces


def solve_over_tree(tree: DecisionTreeClassifier, model: pyo.ConcreteModel) -> so.SolveResult:
    """Embed a decision tree by OMLT's formulation of tree ensembles: one tree, leaves -1 and 1."""
    found = tree.tree_
    n_nodes = found.node_count
    leaves = [k for k in range(n_nodes) if found.children_left[k] < 0]
    answers = [float(tree.classes_[np.argmax(found.value[k][0])]) for k in leaves]
    node = onnx.helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        nodes_treeids=[0] * n_nodes,
        nodes_nodeids=list(range(n_nodes)),
        nodes_featureids=[max(int(f), 0) for f in found.feature],
        nodes_values=[float(t) for t in found.threshold],
        nodes_modes=["LEAF" if k in leaves else "BRANCH_LEQ" for k in range(n_nodes)],
        nodes_truenodeids=[max(int(k), 0) for k in found.children_left],
        nodes_falsenodeids=[max(int(k), 0) for k in found.children_right],
        target_treeids=[0] * len(leaves),
        target_nodeids=leaves,
        target_ids=[0] * len(leaves),
        target_weights=answers,
    )
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None, size])
        for name, size in (("x", len(BOX)), ("y", 1))
    ]
    graph = onnx.helper.make_graph([node], "tree", ends[:1], ends[1:])
    bounds = dict(enumerate(BOX.values()))
    definition = GradientBoostedTreeModel(onnx.helper.make_model(graph), scaled_input_bounds=bounds)
    return solve_over_omlt(GBTBigMFormulation(definition), model)


def solve_over_network(pipeline: Any, model: pyo.ConcreteModel) -> so.SolveResult:
    """Embed a ReLU network by OMLT's big-M formulation; its output is the log odds of +1."""
    scaler, fitted = pipeline[0], pipeline[-1]
    scaling = OffsetScaling(
        offset_inputs=scaler.mean_,
        factor_inputs=scaler.scale_,
        offset_outputs=[0],
        factor_outputs=[1],
    )
    definition = NetworkDefinition(
        scaling_object=scaling, unscaled_input_bounds=dict(enumerate(BOX.values()))
    )
    last = InputLayer([len(BOX)])
    definition.add_layer(last)
    for depth, (weights, biases) in enumerate(
        zip(fitted.coefs_, fitted.intercepts_, strict=True), start=1
    ):
        kind = "linear" if depth == len(fitted.coefs_) else fitted.activation
        layer = DenseLayer([weights.shape[0]], [weights.shape[1]], weights, biases, activation=kind)
        definition.add_layer(layer)
        definition.add_edge(last, layer)
        last = layer
    return solve_over_omlt(ReluBigMFormulation(definition), model)


def solve_over_omlt(formulation: Any, model: pyo.ConcreteModel) -> so.SolveResult:
    """Ask an embedded learner for an output of at most 0 and solve."""
    model.learner = OmltBlock()
    model.learner.build_formulation(formulation)
    model.same = pyo.Constraint(
        range(len(BOX)), rule=lambda m, j: m.learner.inputs[j] == m.amount[list(BOX)[j]]
    )
    model.inside = pyo.Constraint(expr=model.learner.outputs[0] <= 0)
    return so.solve(model)


def compare_samplings(
    network: so.Network, certified: so.CertifiedRegion, points: pd.DataFrame, truth: np.ndarray
) -> str:
    """Error against number of MILPs: plain samplings spend one on every target."""
    errors: dict[str, list[float]] = {}
    for name in ("sample_boundary", "uniform", "sobol", "grid"):
        errors[name] = []
        for budget in BUDGETS:
            if name == "sample_boundary":
                samples = so.sample_boundary(network, BOX, n_solves=budget, seed=0, **SETTINGS)
            else:
                targets = so.sample_targets(BOX, budget, seed=0, method=name)[:budget]
                samples = so.TargetSamples(targets=targets, labels=certified.label(targets))
            region = so.fit_region(samples, kernel="rbf", tune=True).region
            errors[name].append(100 * np.mean(region.contains(points) != (truth == -1)))
    fig, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
    for (name, values), marker in zip(errors.items(), "osd^", strict=True):
        ax.semilogy(BUDGETS, values, marker=marker, label=name)
    ax.set(xlabel="MILPs allowed", ylabel="error of the RBF SVC, %")
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=3, fontsize=8, frameon=False)
    with files_together() as outputs:
        outputs.write_by(FIGURES / "error_against_solves.svg", fig.savefig)
    head = "| sampling | " + " | ".join(f"{b} MILPs" for b in BUDGETS) + " |"
    rows = [head, "|---" * (len(BUDGETS) + 1) + "|"]
    rows += [
        f"| {name} | " + " | ".join(f"{e:.2f} %" for e in values) + " |"
        for name, values in errors.items()
    ]
    return "\n".join(rows)


def draw_region(certified: so.CertifiedRegion, samples: so.TargetSamples) -> None:
    """Certified region, the samples spent, and classifiers over it."""
    fig, ax = plt.subplots(figsize=(5.5, 5), layout="constrained")
    corners = certified.vertices
    ax.fill(*np.vstack([corners, [0, 0]]).T, color="#9ecae1", alpha=0.6, label="certified feasible")
    axis = np.linspace(0, 110, 400)
    mesh = np.stack(np.meshgrid(axis, axis), axis=-1)
    for (kernel, options), colour in zip(
        (("linear", {"C": 1e3}), ("rbf", {"C": 1e3, "gamma": 5.0})),
        ("#d95f02", "#1b1b1b"),
        strict=True,
    ):
        region = so.fit_region(samples, kernel=kernel, **options).region
        level = region.decision(mesh.reshape(-1, 2)).reshape(mesh.shape[:2])
        ax.contour(axis, axis, level, levels=[0], colors=colour, linewidths=1.3)
        ax.plot([], [], color=colour, label=f"{kernel} SVC")
    for label, marker, colour in ((-1, "o", "#08519c"), (1, "x", "#a50f15")):
        chosen = samples.targets[samples.labels == label]
        name = "feasible sample" if label < 0 else "infeasible sample"
        ax.scatter(*chosen.to_numpy().T, s=14, marker=marker, color=colour, label=name)
    share = 100 * certified.gap
    ax.set(
        xlabel="S9, kg",
        ylabel="S8, kg",
        xlim=(0, 110),
        ylim=(0, 110),
        title=f"{certified.n_solves} MILPs, undecided slivers {share:.1g} % of the box",
    )
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.08), ncols=3, fontsize=8, frameon=False)
    with files_together() as outputs:
        outputs.write_by(FIGURES / "classifiers_over_certified.svg", fig.savefig)


if __name__ == "__main__":
    main()
