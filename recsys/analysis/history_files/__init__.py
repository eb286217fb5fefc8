"""Reads histories that users exported from other services, and matches their films with those of a data set."""
