"""The search for the best schedule, and bounds that hold for any schedule."""
