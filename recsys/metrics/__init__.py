"""Ranking by scores, and metrics of ranked lists and of predicted ratings."""
