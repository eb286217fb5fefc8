"""A cache of fitted base models, so that several ensembles can share them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import cache, partial

from recsys.data.dataset import Dataset, Holdout
from recsys.files import digest_of
from recsys.models.base import FitContext, Recommender, class_name, load
from recsys.places import PACKAGE


def cached_fit(model: Recommender, train: Dataset, valid: Holdout | None, context: FitContext) -> Recommender:
    """Fit a base model, or load it from the cache.

    The cache is the folder `fitted` of the context's `cache_dir`. Without `cache_dir`, or if the data have no
    fingerprint, the model is always fitted.

    Args:
        model: unfitted model.
        train: training ratings.
        valid: held-out ratings for early stopping, or None. The cache does not compare them: they must be the same
            whenever the fingerprint of `train` is the same.
        context: context of the ensemble's fit. The base model is fitted with the trainer of this context, but without
            the callbacks, and stores neither checkpoints nor curves.

    Returns:
        `model` itself, fitted; or, from the cache, a new model, whose `data` is None.
    """
    fit = partial(model.fit, train, valid, _base_context(context))
    return _cached(model, train, context, fit, "by validation" if valid is not None else None)


def cached_refit(model: Recommender, train: Dataset, context: FitContext) -> Recommender:
    """Return a copy of a fitted base model, refitted to other ratings or loaded from the cache of earlier refits.

    For the cache, see `cached_fit`; for refits, `Recommender.refit`. `model` itself does not change.
    """
    fit = partial(model.refit, train, _base_context(context))
    return _cached(model, train, context, fit, model.n_best_epochs)


def _base_context(context: FitContext) -> FitContext:
    """Return the ensemble's context without checkpoints, curves and callbacks, which its base models do not get."""
    return FitContext(trainer=partial(context.trainer, callbacks=[]), cache_dir=context.cache_dir)


def _cached(
    model: Recommender,
    train: Dataset,
    context: FitContext,
    fit: Callable[[], Recommender],
    stopping: str | int | None,
) -> Recommender:
    """Load the model from the cache, or else fit it and add it to the cache.

    An earlier fit in the cache is used if it had the same class, hyperparameters, ratings, metadata, code and
    `stopping`.

    Args:
        model: model with the class and hyperparameters to be fitted.
        train: training ratings.
        context: context of the ensemble's fit, for its `cache_dir`.
        fit: function that returns the fitted model.
        stopping: number of epochs of the fit, or text that says how it is determined; None for a fit without
            validation.
    """
    if context.cache_dir is None or not train.fingerprint:
        return fit()
    decisive = [class_name(model), model.hyperparameters(), stopping, train.fingerprint, _code_digest()]
    digest = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode())
    for frame in (train.user_frame, train.item_frame):
        digest.update(frame.to_json(date_format="iso").encode())
    directory = context.cache_dir / "fitted" / digest.hexdigest()[:16]
    if (directory / "model.json").is_file():
        return load(directory)
    fitted = fit()
    fitted.save_without_data(directory)
    return fitted


@cache
def _code_digest() -> str:
    """Return a digest of the source code on which fits depend: `recsys.data`, `recsys.metrics` and `recsys.models`."""
    packages = [PACKAGE / name for name in ("data", "metrics", "models")]
    return digest_of(sorted(file for package in packages for file in package.rglob("*.py")))
