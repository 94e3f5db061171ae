"""Scheduling: the MILP, the schedules it makes, and the replay that judges them."""
