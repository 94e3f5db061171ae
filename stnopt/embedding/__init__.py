"""Regions as constraints of the user's own Pyomo model, and a certified search over them."""
