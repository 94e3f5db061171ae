"""
The certified surface of three products
=======================================

One reactor makes three products; the surface bounds what can be made of them together.
"""

# %%
import stnopt as so

reactor = {"Reactor": {"max_batch": 10, "fixed_time": 2}}
plant = so.read_network(
    {
        "name": "one reactor",
        "amount_unit": "t",
        "time_unit": "h",
        "states": {"Raw": {"initial": "unlimited"}, "A": {}, "B": {}, "C": {}},
        "tasks": {
            f"Make{name}": {"consumes": {"Raw": 1}, "produces": {name: 1}, "units": reactor}
            for name in "ABC"
        },
    }
)
region = so.trace_frontier(
    plant, horizon=6, products=["A", "B", "C"], n_events=3, max_span=0, tolerance=0.05
)
print(region)
_ = so.plot_frontier(region)
