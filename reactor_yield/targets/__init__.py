"""What a scheduler takes from a reactor: safe operating points, and recipes it can trust."""

from reactor_yield.targets.certificate import Certificate as Certificate
from reactor_yield.targets.certificate import certify_point as certify_point
from reactor_yield.targets.recipe import Recipe as Recipe
from reactor_yield.targets.recipe import recipe_from_yield as recipe_from_yield
from reactor_yield.targets.recipe import simulate_campaigns as simulate_campaigns
from reactor_yield.targets.region import SafeRegion as SafeRegion
from reactor_yield.targets.region import safe_region as safe_region
