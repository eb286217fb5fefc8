"""Inspects tree ensembles on test ratings: feature importance, partial dependence, accuracy, prediction intervals."""
