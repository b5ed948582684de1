"""Recognize text in pictures: the interface of a reader, its implementation, and tiles."""
