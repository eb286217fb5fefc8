"""Ranking with one policy for ties, and every metric of lists and of predicted ratings."""
