"""Nearest vectors in Milvus, kept in step with the catalog."""
