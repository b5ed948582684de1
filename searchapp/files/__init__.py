"""Files on disk and in object storage: list, read, fetch, lock and write them."""
