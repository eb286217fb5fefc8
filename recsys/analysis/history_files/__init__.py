"""Histories that viewers bring from elsewhere: files that other services export, matched with the films of the data."""
