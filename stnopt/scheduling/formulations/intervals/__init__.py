"""Time in intervals: a relaxation without event points, whose bound holds for any schedule."""
