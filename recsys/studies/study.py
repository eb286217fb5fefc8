"""What a study is: rows of tables, each a model with its settings, on one or several settings of data and split.

`configs/experiment/<study>.yaml` describes it under `study`; this is that description, read and checked, and what
became of the runs that it asks for.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from recsys.errors import UserError
from recsys.studies.runs import Run

REFERENCE = re.compile(r"\{([^{}]+)\}")  # in an override, to the run of a row


@dataclass(frozen=True)
class Row:
    """One row of a table: a model with its settings.

    Attributes:
        overrides: of the config: `{model: ease, model.l2: 300}`; `{GMF}` in a value is the run of the row GMF on the
            same setting, fold and seed, which is made first.
        search: the space to choose further settings from on validation, in Hydra's sweep syntax; may be empty.
        n_configurations: that were compared on validation to choose `overrides`; None where nobody counted.
        published: figures of others for the same data and split, by metric: `{hr@10: 0.719}`.
        seeds: of its runs; a model without chance in it needs one.
    """

    overrides: Mapping[str, Any]
    search: Mapping[str, str] = field(default_factory=dict)
    n_configurations: int | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Setting:
    """What rows are run on.

    Attributes:
        overrides: of the config: `{data: ml-100k, split: folds, split.fold: [1, 2, 3, 4, 5]}`; every combination of the
            values of lists is run, and a table has their mean.
        rows: by the name that a table gives each.
        metrics: of a table, the main one first, without their stage: `ndcg@10`.
        varied: keys of the overrides that list several values, also where a command has chosen one of them.
        on_demand: it is run only where the command names it or leaves no other, since it needs files that not everybody
            has.
    """

    overrides: Mapping[str, Any]
    rows: Mapping[str, Row]
    metrics: tuple[str, ...]
    varied: tuple[str, ...] = ()
    on_demand: bool = False


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
        search: whether to search where settings have been chosen already, too.
        settings_run: names of the settings to run; all that are not on demand where empty.
        rows_run: names of the rows to run, beside those that they need; all where empty.
        tolerance: by which figures of another machine may differ and still agree, relative.
    """

    name: str
    question: str
    settings: Mapping[str, Setting]
    seeds: tuple[int, ...] = (0,)
    baselines: tuple[str, ...] = ()
    n_trials: int = 0
    search: bool = False
    settings_run: tuple[str, ...] = ()
    rows_run: tuple[str, ...] = ()
    tolerance: float = 0.05

    @classmethod
    def read(cls, described: Mapping[str, Any]) -> Study:
        """The study that a config describes.

        What the study says of `seeds` and `rows` goes for settings that say nothing of them, and what a setting says of
        `seeds` for its rows.

        Raises:
            UserError: something in it is not known, or is missing.
        """
        common = {"seeds": described.get("seeds", [0]), "rows": described.get("rows", {})}
        settings = {name: _setting(name, {**common, **own}) for name, own in described.get("settings", {}).items()}
        own = {key: value for key, value in described.items() if key != "rows"}
        study = _made(cls, "The study", {**own, "settings": settings})
        rows = {row for setting in settings.values() for row in setting.rows}
        for names, known in ((study.baselines, rows), (study.rows_run, rows), (study.settings_run, settings.keys())):
            if unknown := set(names) - set(known):
                raise UserError(f"The study has no {', '.join(sorted(unknown))}: there are {', '.join(known)}.")
        return study

    def chosen_by(self, command: Mapping[str, Sequence[str]]) -> Study:
        """What is left of the study where a command chooses among what it varies, and the study what it runs.

        Args:
            command: values by key: of `seed`, of `model`, or of anything that settings say.

        Raises:
            UserError: nothing is left.
        """
        seeds = {str(seed) for setting in self.settings.values() for row in setting.rows.values() for seed in row.seeds}
        if unknown := set(command.get("seed", ())) - seeds:
            raise UserError(
                f"The study {self.name} has no seed {', '.join(sorted(unknown))}: it has {', '.join(sorted(seeds))}."
            )
        chosen = {
            name: replace(setting, overrides=own, rows=rows)
            for name, setting in self.settings.items()
            if name in self.settings_run or not self.settings_run
            if (own := _narrowed(setting.overrides, command)) and (rows := self._rows_chosen(setting.rows, command))
        }
        usual = {
            name: setting for name, setting in chosen.items() if name in self.settings_run or not setting.on_demand
        }
        if chosen:
            return replace(self, settings=usual or chosen)
        asked = " ".join(f"{key}={','.join(values)}" for key, values in command.items())
        there = "; ".join(f"{name}: {dict(setting.overrides)}" for name, setting in self.settings.items())
        raise UserError(f"The study {self.name} has no run of {asked or 'these rows'}. Its settings are {there}.")

    def _rows_chosen(self, rows: Mapping[str, Row], command: Mapping[str, Sequence[str]]) -> dict[str, Row]:
        """The rows of the models that a command names, with the rows that these need, and of its seeds."""
        models, seeds = command.get("model"), command.get("seed", ())
        chosen = {
            name
            for name, row in rows.items()
            if (models is None or row.overrides.get("model") in models) and (not self.rows_run or name in self.rows_run)
        }
        while needed := {name for each in chosen for name in needs(rows, each)} - chosen:
            chosen |= needed
        return {
            name: replace(row, seeds=tuple(seed for seed in row.seeds if str(seed) in seeds) or row.seeds)
            for name, row in rows.items()
            if name in chosen
        }

    def with_settings_found(self, found: Mapping[tuple[str, str], Mapping[str, Any]]) -> Study:
        """The study with what searches chose: overrides by names of setting and row."""
        settings = {
            name: replace(
                setting,
                rows={
                    row: replace(own, overrides={**own.overrides, **found[name, row]}, n_configurations=self.n_trials)
                    if (name, row) in found
                    else own
                    for row, own in setting.rows.items()
                },
            )
            for name, setting in self.settings.items()
        }
        return replace(self, settings=settings)


@dataclass(frozen=True)
class Outcome:
    """What became of one run that a study asks for.

    Attributes:
        setting: the name of its setting.
        variant: what the lists of the setting gave it: `split.fold=1`, or "".
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


def _setting(name: str, described: Mapping[str, Any]) -> Setting:
    rows = {row: _row(row, {"seeds": described["seeds"], **own}) for row, own in described["rows"].items()}
    own = {key: value for key, value in described.items() if key != "seeds"}
    varied = [key for key, value in described.get("overrides", {}).items() if len(listed(value)) > 1]
    return _made(Setting, f"The setting {name}", {**own, "rows": rows, "varied": varied})


def _row(name: str, described: Mapping[str, Any]) -> Row:
    known = {each.name for each in fields(Row)}
    own = {key: value for key, value in described.items() if key in known}
    overrides = {key: value for key, value in described.items() if key not in known}
    return _made(Row, f"The row {name}", {**own, "overrides": overrides})


def _made(kind: type, what: str, values: Mapping[str, Any]) -> Any:
    known = {each.name for each in fields(kind)}
    if unknown := values.keys() - known:
        raise UserError(f"{what} has no {', '.join(sorted(unknown))}: there are {', '.join(sorted(known))}.")
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except TypeError as error:
        raise UserError(f"{what} is not whole: {error}.") from error


def _narrowed(overrides: Mapping[str, Any], command: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """What a command chooses of a setting's values; nothing where it chooses others."""
    narrowed = dict(overrides)
    for key in overrides.keys() & command.keys():
        values = [value for value in listed(overrides[key]) if str(value) in command[key]]
        if not values:
            return {}
        narrowed[key] = values
    return narrowed


def needs(rows: Mapping[str, Row], name: str) -> set[str]:
    """The names of the rows whose runs a row is made of.

    Raises:
        UserError: one is no row.
    """
    texts = [value for value in rows[name].overrides.values() if isinstance(value, str)]
    named = {found for text in texts for found in REFERENCE.findall(text)}
    if unknown := named - rows.keys():
        raise UserError(f"The row {name} needs {', '.join(sorted(unknown))}, and there is no such row.")
    return named


def listed(value: Any) -> list[Any]:
    """The values that a setting varies, or its one value."""
    return value if isinstance(value, list) else [value]
