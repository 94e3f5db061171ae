"""Columns with their units, and data sets."""
