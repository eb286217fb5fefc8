"""A Hydra sweeper on Optuna; Hydra finds it under this namespace."""
