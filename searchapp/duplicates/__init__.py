"""Find files that show the same picture, and choose which of these files to keep."""
