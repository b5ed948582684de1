"""Bytes into pixels and metadata: every format, every kind of camera file."""
