"""Analyses of data and trained models: exploration, segments, importance, recommendations and reasons."""
