"""Maintain a library: check, repair, prune, export and import."""
