"""
Labelled targets, and what classifiers make of them
===================================================

Targets are labelled by the certified region of a reactor that makes two products; a line and an RBF
kernel learn them. An error on the upper side is a plan that cannot be made.
"""

# %%
import matplotlib.pyplot as plt

import stnopt as so

units = {"Reactor": {"max_batch": 10, "fixed_time": 2, "time_per_amount": 0.05}}
plant = so.read_network(
    {
        "name": "one reactor",
        "states": {"Raw": {"initial": "unlimited"}, "A": {}, "B": {}},
        "tasks": {
            f"Make{name}": {"consumes": {"Raw": 1}, "produces": {name: 1}, "units": units}
            for name in "AB"
        },
    }
)
certified = so.trace_frontier(plant, horizon=8, products=["A", "B"], n_events=3, max_span=0)
targets = so.sample_targets({"A": (0, 40), "B": (0, 40)}, 128, seed=0)
samples = so.TargetSamples(targets=targets, labels=certified.label(targets))

_, axes = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained")
for ax, kernel in zip(axes, ("linear", "rbf"), strict=True):
    fitted = so.fit_region(samples, kernel=kernel, C=100)
    so.plot_region(fitted.region, samples=samples, ax=ax)
    so.plot_frontier(certified, ax=ax)
    print(kernel, so.score_region(fitted.region, samples))
