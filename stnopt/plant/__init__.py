"""The plant: its nouns, the reader of plant files, and the examples that ship with the library."""

from stnopt.plant.network import Network as Network
from stnopt.plant.problem import Delivery as Delivery
from stnopt.plant.problem import Problem as Problem
from stnopt.plant.read import load_example as load_example
from stnopt.plant.read import read_network as read_network
from stnopt.plant.read import read_problem as read_problem
from stnopt.plant.recipe import State as State
from stnopt.plant.recipe import Suitability as Suitability
from stnopt.plant.recipe import Task as Task
from stnopt.plant.rules import CleanAfter as CleanAfter
from stnopt.plant.rules import Unit as Unit
from stnopt.plant.rules import Utility as Utility
from stnopt.plant.source import list_examples as list_examples
