"""Keep a library in order: check, repair, prune, export and import."""
