"""The order test measures the accuracy of a model on histories in random order.

The accuracy on histories in time order, minus the accuracy on histories in random order, is what the model gains from
the time order (Woolridge et al., "Sequence or Pseudo-Sequence? An Analysis of Sequential Recommendation Datasets",
PERSPECTIVES workshop at RecSys 2021; Klenitskiy et al., "Does It Look Sequential? An Analysis of Datasets for
Evaluation of Sequential Recommendations", RecSys 2024).
"""

from __future__ import annotations

from collections.abc import Sequence

from recsys.data.dataset import Holdout
from recsys.errors import UserError
from recsys.evaluation.evaluate import evaluate
from recsys.evaluation.protocols import AnyProtocol
from recsys.evaluation.ranking_task import LIST_LENGTH
from recsys.models.base import Recommender


def check_order_test(model: Recommender, protocol: AnyProtocol) -> None:
    """Check that shuffling histories can change the metrics of a model.

    Raises:
        UserError: the model does not use histories, or the protocol is None, so that no items are ranked.
    """
    if not model.uses_history:
        raise UserError(
            f"order_test=true must have a model that scores by histories (got {type(model).__name__}, which scores by "
            "user codes): leave it out."
        )
    if protocol is None:
        raise UserError("order_test=true must have a protocol that ranks items (got protocol=ratings): leave it out.")


def order_test(
    model: Recommender, holdout: Holdout, protocol: AnyProtocol, ks: Sequence[int], seed: int = 0
) -> dict[str, float]:
    """Return the NDCG of a fitted model on shuffled histories, keyed by names such as `ndcg@10/shuffled_history`.

    Args:
        model: a fitted model.
        holdout: the held-out ratings and the users' histories.
        protocol: determines which items are ranked.
        ks: list lengths of the evaluation; the order test uses only `LIST_LENGTH` or the largest k, whichever is
            smaller.
        seed: seed with which histories are shuffled.

    Raises:
        UserError: see `evaluate`.
    """
    k = min(LIST_LENGTH, max(ks))
    summary = evaluate(model, holdout, protocol, [k], shuffle_seed=seed).summary
    return {f"{name}/shuffled_history": value for name, value in summary.items() if name.startswith(f"ndcg@{k}")}
