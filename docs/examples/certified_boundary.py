"""
The certified boundary of two products
======================================

What lies below the line can be made, and a checked schedule shows it; what lies above it provably
cannot, on this many event points.
"""

# %%
import stnopt as so

plant = so.load_example("kumawat_2021")
region = so.trace_frontier(plant, horizon=8, products=["S8", "S9"], n_events=4, max_span=0)
print(region)
_ = so.plot_frontier(region)
