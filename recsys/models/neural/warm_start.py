"""Warm starts: training that continues from the weights of an earlier model of the same items.

As in any other training, validation chooses the number of epochs. At least one epoch is trained, since the earlier
weights contain no information about new users.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from recsys.errors import UserError
from recsys.models.neural.module import NeuralModule

MAY_DIFFER = ("max_epochs", "patience", "seed")  # hyperparameters that need not equal those of the earlier model


def check_hyperparameters(own: Mapping[str, Any], earlier: Mapping[str, Any]) -> None:
    """Check that a model can continue from an earlier model, given the hyperparameters of both by name.

    Raises:
        UserError: a hyperparameter outside `MAY_DIFFER` differs.
    """
    differing = [
        f"{name} {earlier[name]} (got {own[name]})"
        for name in own
        if own[name] != earlier[name] and name not in MAY_DIFFER
    ]
    if differing:
        raise UserError(
            f"The model must have the settings of the earlier run, {', '.join(differing)}: only "
            f"{', '.join(MAY_DIFFER)} may differ."
        )


@torch.no_grad()
def take_over(module: NeuralModule, earlier: NeuralModule, users: np.ndarray) -> None:
    """Copy the weights of an earlier module into an untrained one; new users get the row of the unknown user.

    Args:
        module: untrained module with the same hyperparameters and items.
        earlier: the trained module.
        users: int64 (n_users,) the earlier code of each user, -1 for a new user.

    Raises:
        UserError: weights have different shapes, and not only because of a different number of users.
    """
    rows, own = torch.from_numpy(np.append(users, -1)), module.state_dict()  # the last row is the unknown user's
    for name, weights in earlier.state_dict().items():
        taken = weights[rows[: len(own[name])]] if name in module.user_tables() else weights
        if taken.shape != own[name].shape:
            raise UserError(
                f"{name} of the earlier run must have the shape {tuple(own[name].shape)} (got {tuple(taken.shape)}), "
                "which depends on the features of the items: leave out --warm."
            )
        own[name].copy_(taken)
