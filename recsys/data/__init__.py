"""Data preparation: raw sources are read and cleaned into tables, loaded as data sets, and split."""
