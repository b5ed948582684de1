"""Measurements of what is slow: the models, the indexing."""
