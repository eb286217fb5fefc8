"""Recommenders, classic and deep, behind one interface (`base.Recommender`)."""
