"""Histories from other services: exported files are read, and their films are matched with those of the data."""
