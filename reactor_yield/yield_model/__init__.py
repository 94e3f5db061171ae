"""Learn the yield from the operating conditions, with intervals that say how far to trust it."""

from reactor_yield.yield_model.evaluate import evaluate_yield_model as evaluate_yield_model
from reactor_yield.yield_model.evaluate import permutation_importance as permutation_importance
from reactor_yield.yield_model.fit import CANDIDATES as CANDIDATES
from reactor_yield.yield_model.fit import fit_yield_model as fit_yield_model
from reactor_yield.yield_model.model import YieldModel as YieldModel
from reactor_yield.yield_model.report import YieldReport as YieldReport
from reactor_yield.yield_model.storage import load_yield_model as load_yield_model
