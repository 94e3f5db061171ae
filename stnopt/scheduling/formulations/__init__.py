"""The formulations: each builds a Pyomo model of a plant and reads its schedule back."""
