"""Inspection of models of trees on test ratings: feature importance, partial dependence, accuracy, and intervals."""
