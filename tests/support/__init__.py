"""Helpers that tests share: fakes of the GPU, makers of files, servers on loopback."""
