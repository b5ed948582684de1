"""Files into vectors: read ahead, decode, embed, in one process or in many."""
