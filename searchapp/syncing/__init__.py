"""Keep what a collection is searched with in step with the catalogue: a FAISS file, or Milvus."""

from searchapp.syncing.indexes import Indexes
from searchapp.syncing.keeper import Keeper

__all__ = ["Indexes", "Keeper"]
