"""Filters: which images a query may return, as columns in memory or as SQL."""
