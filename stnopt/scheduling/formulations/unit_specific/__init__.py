"""The unit-specific event-based formulation, one file per group of rules."""
