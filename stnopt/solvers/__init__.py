"""Solving models: status, bound and gap, one file per engine."""
