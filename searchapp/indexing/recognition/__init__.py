"""Recognize the text in pictures with worker processes, beside an index run or alone."""
