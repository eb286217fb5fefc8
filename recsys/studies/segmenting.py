"""Segments of a run's users: found, reported, and stored in the run's directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from recsys.data.split import Split
from recsys.studies.runs import Run

if TYPE_CHECKING:
    from recsys.analysis.segments import Found, SegmentStudy


def find_segments(run: Run, split: Split, study: SegmentStudy) -> Found:
    """Finds segments of users and writes their files; see `recsys.analysis.segments`.

    Args:
        run: run whose users are segmented.
        split: split of the run.
        study: space, method and number of the segments.

    Raises:
        UserError: the segments are to be found in the embeddings, but the model has none or was trained on another
            split.
    """
    # They import matplotlib, scikit-learn and torch, which a run without segments does not need.
    from recsys.analysis import segment_report, segments
    from recsys.studies.tensorboard import log_segments

    ratings = run.learned_from(split)
    points = (
        segments.rating_points(ratings, ratings.history(np.arange(ratings.n_users)))
        if study.space == segments.RATINGS
        else segments.embedding_points(run.user_embeddings(split))
    )
    found = study.find(points, ratings, run.per_user)
    directory = segments.segments_directory(run.directory)
    directory.mkdir(exist_ok=True)
    user_frame = ratings.user_frame.iloc[found.users]
    names = [profile.name for profile in found.profiles]
    stored = segments.Segments(study.segments, names, study.space, ratings.fingerprint)
    stored.write(directory, user_frame["user_id"], found)
    model = run.config["model"]["_target_"].rpartition(".")[2]
    segment_report.write_report(directory, study, split, ratings, found, model)
    labelled = user_frame.assign(segment=np.array(stored.names, object)[found.labels])
    log_segments(directory / "tensorboard", found.points, ratings.user_counts[found.users], labelled)
    return found
