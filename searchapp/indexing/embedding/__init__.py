"""Embed files: read them ahead, decode, run the model, in one process or in several."""
