"""Serve a library to AI assistants over the Model Context Protocol: read-only tools on stdio."""
