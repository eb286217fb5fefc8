"""A Hydra sweeper that uses Optuna; Hydra finds it in this namespace."""
