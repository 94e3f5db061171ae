"""
The best schedule of a shift
============================

A row per unit, a bar per batch with its size. The schedule was replayed in time before it was
returned, and the search says what is proven of it.
"""

# %%
import stnopt as so

plant = so.load_example("ex2")
search = so.find_schedule(plant, horizon=8, n_events=5, max_span=0)
print(search.result.objective, search.proof)
_ = so.plot_gantt(search.schedule, network=plant)
