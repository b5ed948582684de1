"""A query into hits: query vector, nearest vectors, filters, and good matches."""
