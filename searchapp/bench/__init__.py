"""Measure speed and quality: indexing, index types, models, a cluster, captioned data sets."""
