"""What a scheduler takes from a reactor."""
