"""Alarms, runaway forecasts and drift."""
