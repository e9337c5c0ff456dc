"""Rows of engines: each engine runs for real, on this machine."""
