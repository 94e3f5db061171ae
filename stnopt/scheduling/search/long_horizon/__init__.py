"""Schedules for long horizons and large plants: construct on a grid, improve in windows, retime."""
