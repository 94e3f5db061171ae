"""
A plant as a network
====================

States are circles, tasks boxes, and the numbers on the arcs the fractions of a batch. Raw materials
are grey, products coloured; what leads back runs below.
"""

# %%
import stnopt as so

plant = so.load_example("ex2")
_ = so.plot_network(plant)
