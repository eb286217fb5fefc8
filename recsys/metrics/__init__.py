"""Ranking with one policy for ties, and the metrics of ranked lists and of predicted ratings."""
