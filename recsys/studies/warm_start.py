"""Warm starts: training continues from an earlier run's weights.

Ratings on which these weights were trained are excluded from validation and test.
"""

from __future__ import annotations

from recsys.data.split import Split
from recsys.errors import UserError
from recsys.models.base import Recommender, class_name
from recsys.studies.run_writer import RunWriter
from recsys.studies.runs import Run


def continue_from(earlier: Run, before: Split, run: RunWriter, model: Recommender, split: Split) -> Split:
    """Initialise a model with the weights of an earlier run, and return the split on which to train it.

    Args:
        earlier: the earlier run.
        before: split of the earlier run.
        run: writer of the new run, which stores the ratings on which the weights were trained.
        model: untrained model with the hyperparameters of the earlier run's model.
        split: split of the new run.

    Returns:
        The split of the new run, without validation and test ratings on which the weights were trained.

    Raises:
        UserError: the model cannot continue from the earlier run's model, `before` is not the split on which the
            earlier run was trained, the items of the splits differ, or no rating is left to validate or test on.
    """
    earlier.check_split(before)
    # The new run's config names the class, so it is imported already; unpickling would run other code.
    is_trusted = earlier.model_class == class_name(model) and not model.pickled
    model.continue_from(earlier.model(is_trusted), split.dataset.users_in(before.dataset))
    learned = earlier.has_learned(before, split.dataset)
    run.write_learned_before(split.dataset.select(learned))
    measured = split.for_warm_start(learned)
    for holdout, purpose in ((measured.valid, "validate on"), (measured.test, "test on")):
        if not len(holdout.ratings):
            raise UserError(
                f"{split.dataset.name} has no rating to {purpose} that is unseen by the earlier run: "
                "wait for further ratings, or leave out --warm (for train.py, warm_from)."
            )
    return measured
