"""
A shift that is planned again
=============================

Line1 breaks down at 09:00 for an hour and a half. What happened stays; the batch that ran there is
lost, and the rest is planned again.
"""

# %%
import matplotlib.pyplot as plt

import stnopt as so
from stnopt.plant.source import EXAMPLES

plant = so.load_example("filling_hall")
problem = so.read_problem(EXAMPLES / "filling_hall.yaml")
before = so.find_schedule(plant, problem).schedule
down = so.Down("Line1", 3.0, 4.5)  # hours from 06:00
after = so.reschedule(before, plant, problem, at="09:00", changes=[down])
print(after.summary)

_, (above, below) = plt.subplots(2, 1, figsize=(7, 6), layout="constrained")
so.plot_gantt(before, network=plant, ax=above)
_ = so.plot_gantt(after.schedule, network=after.plant, now=3.0, ax=below)
