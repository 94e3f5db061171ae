"""
Labelled targets, and what classifiers make of them
===================================================

Targets are labelled by the certified region of a reactor that makes two products; a line and an RBF
kernel learn them. An error on the upper side is a plan that cannot be made.
"""

# %%
import matplotlib.pyplot as plt

import stnopt as so

plant = so.load_example("kumawat_2021")
certified = so.trace_frontier(plant, horizon=8, products=["S8", "S9"], n_events=4, max_span=0)
targets = so.sample_targets({"S8": (0, 110), "S9": (0, 110)}, 128, seed=0)
samples = so.TargetSamples(targets=targets, labels=certified.label(targets))

_, axes = plt.subplots(1, 2, figsize=(7, 3.6), layout="constrained")
for ax, kernel in zip(axes, ("linear", "rbf"), strict=True):
    fitted = so.fit_region(samples, kernel=kernel, C=100)
    so.plot_region(fitted.region, samples=samples, ax=ax)
    so.plot_frontier(certified, ax=ax)
    print(kernel, so.score_region(fitted.region, samples))
