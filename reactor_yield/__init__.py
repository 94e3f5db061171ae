"""A reactor's performance, its alarms, and the targets it gives a scheduler."""

from reactor_yield.columns import COLUMNS as COLUMNS
from reactor_yield.columns import FEATURES as FEATURES
from reactor_yield.columns import Column as Column
from reactor_yield.columns import column_table as column_table
from reactor_yield.dataset import check_dataset as check_dataset
from reactor_yield.dataset import generate_dataset as generate_dataset
from reactor_yield.dataset import split_dataset as split_dataset
from reactor_yield.reactor import REFERENCE as REFERENCE
from reactor_yield.reactor import Kinetics as Kinetics
from reactor_yield.reactor import Reaction as Reaction
from reactor_yield.reactor import simulate_reactor as simulate_reactor
