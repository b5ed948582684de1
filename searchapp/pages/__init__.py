"""Write self-contained HTML files: contact sheet, map, and review of duplicates."""
