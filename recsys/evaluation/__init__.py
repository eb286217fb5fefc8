"""Evaluation of fitted models on a holdout: protocols, slices, reranking, significance, off-policy estimates."""
