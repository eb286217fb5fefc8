"""Ranking, metrics and significance: the same code measures every model."""
