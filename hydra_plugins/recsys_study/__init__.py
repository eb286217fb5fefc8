"""A Hydra sweeper that runs studies; Hydra finds it in this namespace."""
