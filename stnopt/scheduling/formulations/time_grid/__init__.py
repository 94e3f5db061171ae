"""A time grid, exact where all of a plant's times lie on one; one file per group of rules."""
