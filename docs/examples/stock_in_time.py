"""
What is in stock when
=====================

A lane per state, each with its own scale at the right: the dashed line is the capacity. Stock holds
at every instant, not only at event points.
"""

# %%
import stnopt as so

plant = so.load_example("ex2")
search = so.find_schedule(plant, horizon=8, n_events=5, max_span=0)
print(so.replay_stock(search.schedule, plant).head())
_ = so.plot_stock(search.schedule, network=plant)
