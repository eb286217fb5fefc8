"""Hyperparameter searches of a study: which rows (models) need one, and what finished searches chose."""

from __future__ import annotations

from pathlib import Path

import yaml

from recsys.files import reading
from recsys.studies.plan import row_directory
from recsys.studies.study import Study

SEARCH = "search"  # directory of a row's search, below that of its runs


def rows_to_search(study: Study) -> list[tuple[str, str]]:
    """Return (name of the setting, name of the row) of each model whose hyperparameters have to be searched."""
    return [
        (name, row)
        for name, setting in study.settings.items()
        for row, own in setting.rows.items()
        if own.search and (study.search or not own.search.keys() <= own.overrides.keys())
    ]


def with_search_results(study: Study, directory: Path) -> Study:
    """Return the study after giving its models the best hyperparameters that searches have found so far.

    Args:
        study: the study.
        directory: directory of the study's runs, which contains the searches.
    """
    chosen = {}
    for name, row in rows_to_search(study):
        best = row_directory(directory, name, row) / SEARCH / "best.yaml"
        if best.is_file():
            with reading(best):
                overrides = (
                    override.partition("=")
                    for override in yaml.safe_load(best.read_text(encoding="utf-8"))["overrides"]
                )
                chosen[name, row] = {key.lstrip("+"): yaml.safe_load(value) for key, _, value in overrides}
    return study.with_chosen_overrides(chosen)
