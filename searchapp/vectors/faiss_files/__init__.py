"""Nearest vectors in FAISS index files, kept in step with the catalog."""
