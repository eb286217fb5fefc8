"""Inspection of tree ensembles on test ratings: feature importance, partial dependence, accuracy, and intervals."""
