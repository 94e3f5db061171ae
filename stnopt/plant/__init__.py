"""The plant: its nouns, the reader of plant files, and the examples that ship with the library."""

from stnopt.plant.network import Network as Network
from stnopt.plant.orders import Order as Order
from stnopt.plant.orders import ServedOrder as ServedOrder
from stnopt.plant.problem import Delivery as Delivery
from stnopt.plant.problem import Problem as Problem
from stnopt.plant.read import load_example as load_example
from stnopt.plant.read import read_network as read_network
from stnopt.plant.read import read_problem as read_problem
from stnopt.plant.read import read_state as read_state
from stnopt.plant.recipe import State as State
from stnopt.plant.recipe import Suitability as Suitability
from stnopt.plant.recipe import Task as Task
from stnopt.plant.rules import Unit as Unit
from stnopt.plant.rules import Utility as Utility
from stnopt.plant.source import list_examples as list_examples
from stnopt.plant.state import LastTask as LastTask
from stnopt.plant.state import PlantState as PlantState
from stnopt.plant.state import RunningBatch as RunningBatch
from stnopt.plant.unit_rules.clean_after import CleanAfter as CleanAfter
