"""Finds segments (groups of similar users) among a run's users, and stores them with a report in its directory."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from recsys.data.split import Split
from recsys.studies.runs import Run

if TYPE_CHECKING:
    from recsys.analysis.segments.study import FoundSegments, SegmentStudy


def find_segments(run: Run, split: Split, study: SegmentStudy) -> FoundSegments:
    """Find segments of a run's users, and write the segments and a report; see `recsys.analysis.segments`.

    Args:
        run: run whose users are segmented.
        split: split of the run.
        study: settings of the segmentation; if its `space` is None, `with_space` chooses one.

    Returns:
        The segments.

    Raises:
        UserError: the run was not tested; the method finds no segments; or the space is `embeddings`, but the model
            has no embeddings or was trained on another split.
    """
    # These modules import matplotlib and scikit-learn, which a run without segments does not need.
    from recsys.analysis.segments import report
    from recsys.analysis.segments.spaces import RATINGS, embedding_points, rating_points
    from recsys.analysis.segments.stored import StoredSegments, segments_directory
    from recsys.studies.tensorboard import log_segments

    ratings = run.learned_from(split)
    study = with_space(study, run)
    points = (
        rating_points(ratings, ratings.history(np.arange(ratings.n_users)))
        if study.space == RATINGS
        else embedding_points(run.user_embeddings(split))
    )
    found = study.find(points, ratings, run.per_user)
    directory = segments_directory(run.directory)
    directory.mkdir(exist_ok=True)
    user_frame = ratings.user_frame.iloc[found.users]
    names = [profile.name for profile in found.profiles]
    may_place = study.space == RATINGS or run.may_embed_new_users
    stored = StoredSegments(study.segments, names, str(study.space), ratings.fingerprint, may_place)
    stored.write(directory, user_frame["user_id"], found)
    model = run.config["model"]["_target_"].rpartition(".")[2]
    report.write_report(directory, study, split, ratings, found, model)
    labelled = user_frame.assign(segment=np.array(stored.names, object)[found.labels])
    log_segments(directory / "tensorboard", found.points, ratings.user_counts[found.users], labelled)
    return found


def with_space(study: SegmentStudy, run: Run) -> SegmentStudy:
    """Return the settings of a segmentation with its `space` chosen.

    If `space` is None, it becomes `embeddings` if the run has embeddings, else `ratings`.
    """
    from recsys.analysis.segments.spaces import EMBEDDINGS, RATINGS

    if study.space is not None:
        return study
    return replace(study, space=EMBEDDINGS if run.has_embeddings else RATINGS)
