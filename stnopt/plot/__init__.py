"""Figures: networks, schedules, stocks, samples, regions and frontiers, a file for each kind.

Each function draws on the axes it is given, or on new ones that suit a 3.5 inch column, and
returns them. None shows or saves anything. Colours are those of Okabe and Ito (2008), which
colour-blind readers can tell apart; marks and hatches say the same again.
"""

from stnopt.plot.frontier import Frontier as Frontier
from stnopt.plot.frontier import plot_frontier as plot_frontier
from stnopt.plot.gantt import plot_gantt as plot_gantt
from stnopt.plot.network import plot_network as plot_network
from stnopt.plot.plan import plot_plan as plot_plan
from stnopt.plot.region import plot_region as plot_region
from stnopt.plot.samples import plot_samples as plot_samples
from stnopt.plot.stock import plot_stock as plot_stock
from stnopt.plot.utility import plot_utility as plot_utility
