"""Decode pictures, camera RAW and videos: bytes into pixels and metadata."""
