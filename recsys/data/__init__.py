"""From raw sources to clean tables, data sets and splits."""
