"""The resident process: the engine and the index kept warm, behind an HTTP API and a web page."""
