"""What a study is: rows of tables, each a model with its settings, on one or several settings of data and split.

`configs/experiment/<study>.yaml` describes it under `study`; this is that description, read and checked, and what
became of the runs that it asks for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recsys.studies.runs import Run


@dataclass(frozen=True)
class Row:
    """One row of a table: a model with its settings.

    Attributes:
        overrides: of the config: `{model: ease, model.l2: 300}`; `{GMF}` in a value is the run of the row GMF on the
            same setting, fold and seed, which is made first.
        search: the space to choose further settings from on validation, in Hydra's sweep syntax; may be empty.
        n_configurations: that were compared on validation to choose `overrides`; None where nobody counted.
        published: figures of others for the same data and split, by metric: `{hr@10: 0.719}`.
    """

    overrides: Mapping[str, Any]
    search: Mapping[str, str] = field(default_factory=dict)
    n_configurations: int | None = None
    published: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What rows are run on.

    Attributes:
        overrides: of the config: `{data: ml-100k, split: folds, split.fold: "1,2,3,4,5"}`; every combination of the
            values of a sweep is run, and a table has their mean.
        rows: by the name that a table gives each.
        metrics: of a table, the main one first, without their stage: `ndcg@10`.
    """

    overrides: Mapping[str, Any]
    rows: Mapping[str, Row]
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Study:
    """A question, and the runs that answer it.

    Attributes:
        name: of the study, which is that of its config and folder.
        question: in one sentence.
        settings: by name.
        seeds: of the final runs; searches have a seed of their own.
        baselines: names of rows; the one that is best on validation is what the others are compared with.
        n_trials: configurations that a search tries, the same for every row.
        tolerance: by which figures of another machine may differ and still agree, relative.
    """

    name: str
    question: str
    settings: Mapping[str, Setting]
    seeds: tuple[int, ...]
    baselines: tuple[str, ...]
    n_trials: int
    tolerance: float


@dataclass(frozen=True)
class Outcome:
    """What became of one run that a study asks for.

    Attributes:
        setting: the name of its setting.
        variant: what a sweep of the setting gave it: `split.fold=1`, or "".
        row: the name of its row.
        seed: of its model.
        n_configurations: that were compared to choose its settings; None where nobody counted.
        run: finished, or None.
        failure: why it failed, in one sentence, or None; neither run nor failure: it was not run yet.
    """

    setting: str
    variant: str
    row: str
    seed: int
    n_configurations: int | None
    run: Run | None = None
    failure: str | None = None
