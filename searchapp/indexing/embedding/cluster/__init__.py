"""Embed the files of an index run on the nodes of a Ray cluster."""
