"""Match images with a filter: columns in memory, SQL conditions, and facet counts."""
