"""Index folders into a library: one run, a metadata refresh, or a continuous watch."""
