"""A Hydra sweeper that runs studies; Hydra finds it under this namespace."""
