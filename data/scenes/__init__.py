"""Scenes composed in code: backgrounds drawn, subjects stamped, captions to match."""
