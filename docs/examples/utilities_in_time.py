"""
Steam that two units share
==========================

Running batches draw on a utility together; from hour 4 on there is less of it (dashed).
"""

# %%
import stnopt as so

dryer = {"max_batch": 10, "fixed_time": 2, "draws": {"steam": 3}}
plant = so.read_network(
    {
        "name": "two dryers",
        "amount_unit": "t",
        "time_unit": "h",
        "states": {"Wet": {"initial": "unlimited"}, "Dry": {"price": 1}},
        "tasks": {
            "DryIt": {
                "consumes": {"Wet": 1},
                "produces": {"Dry": 1},
                "units": {"Dryer1": dryer, "Dryer2": dryer},
            }
        },
        "utilities": {"steam": {"capacity": [[0, 6], [4, 3]]}},
    }
)
search = so.find_schedule(plant, horizon=8)
print(search.result.objective, "t dried")
_ = so.plot_utility(search.schedule, network=plant)
