"""HTML files that people keep: contact sheet, map, and review of duplicates."""
