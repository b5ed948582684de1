"""Embed files in one or several processes: read and decode files, and run the model."""
