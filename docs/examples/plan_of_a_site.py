"""
A plan over weeks, each with a schedule behind it
=================================================

A reactor makes two products; what is wanted in week 3 is more than it makes in a week, so that some
is made before and kept in stock.
"""

# %%
import stnopt as so

reactor = {"Reactor": {"max_batch": 10, "fixed_time": 2}}
plant = {
    "name": "one reactor",
    "amount_unit": "t",
    "states": {"Raw": {"initial": "unlimited", "cost": 1}, "A": {}, "B": {}},
    "tasks": {
        f"Make{name}": {"consumes": {"Raw": 1}, "produces": {name: 1}, "units": reactor}
        for name in "AB"
    },
}
wanted = {1: (10, 10), 2: (0, 20), 3: (40, 20)}
problem = so.read_planning_problem(
    {
        "planning": {
            "periods": 3,
            "facilities": {
                "site": {"plant": plant, "horizon": 8, "holding_cost": {"A": 0.1, "B": 0.2}}
            },
            "demand": [
                {"period": period, "product": name, "amount": amount}
                for period, amounts in wanted.items()
                for name, amount in zip("AB", amounts, strict=True)
            ],
        }
    }
)
search = so.find_plan(problem, regions=so.trace_regions(problem))
print(search)
_ = so.plot_plan(search.plan, problem=problem, facility="site", product="A")
