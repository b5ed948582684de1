"""Find pictures that are the same, in files that are not."""
