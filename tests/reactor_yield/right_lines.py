"""A right line of each command of `reactor_yield`, for tests that make something of it wrong."""

from __future__ import annotations

RIGHT_LINES = {
    ("generate",): ["new.csv", "--rows", "100"],
    ("check",): ["data.csv"],
    ("train",): ["data.csv", "new.zip", "--model", "ridge"],
    ("predict",): ["model.zip", "data.csv", "new.csv"],
    ("monitor",): ["data.csv", "data.csv"],
    ("alarm", "yield"): ["model.zip", "data.csv", "--target", "0.8"],
    ("alarm", "hot-spot"): ["series.csv", "series.csv"],
    ("serve",): ["model.zip"],
}
