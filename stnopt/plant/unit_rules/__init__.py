"""What a plant can demand of one unit: a file for each key, with all that is to be known of it."""
