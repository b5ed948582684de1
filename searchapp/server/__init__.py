"""Resident process: keeps the engine and the index loaded, behind an HTTP API and a web page."""
