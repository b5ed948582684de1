"""Find files that hold the same picture, and choose which of them to keep."""
