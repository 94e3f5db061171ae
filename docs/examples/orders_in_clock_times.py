"""
A shift with orders, in clock times
===================================

Six orders from a spreadsheet: a row below the units says for each when it is due (triangle), when
it came and whether that was late. Line1 is away at noon.
"""

# %%
import stnopt as so
from stnopt.plant.source import EXAMPLES

plant = so.load_example("filling_hall")
problem = so.read_problem(EXAMPLES / "filling_hall.yaml")
search = so.find_schedule(plant, problem)
_ = so.plot_gantt(search.schedule, network=plant)
