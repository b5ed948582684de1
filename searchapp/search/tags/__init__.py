"""Tag pictures with words of a list, and write the tags into sidecars."""
