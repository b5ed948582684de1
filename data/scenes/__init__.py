"""Render scenes with captions: backgrounds drawn by code, subjects from emoji."""
