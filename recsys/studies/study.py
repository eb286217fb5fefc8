"""The description of a study: a question, and the models, data and splits that answer it.

A study has one or more settings (data, split and protocol). Each setting has a table, in which a row is a model with
its configuration. The file `configs/experiment/<study>.yaml` describes a study under the key `study`; this module reads
and checks that description.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from recsys.errors import UserError

REFERENCE = re.compile(r"\{([^{}]+)\}")  # reference to the run of another row, in the value of an override


@dataclass(frozen=True)
class Row:
    """One row of a table: a model with its configuration.

    Attributes:
        overrides: config overrides: `{model: ease, model.l2: 300}`. `{GMF}` inside a value refers to the run of the row
            GMF with the same setting, variant and seed, which is executed first. `~model.alpha: null` removes
            `model.alpha` from the config, so that the constructor's default applies.
        search: search space of hyperparameters, which are tuned on validation: dotted key -> sweep in Hydra's syntax.
            It may be empty.
        n_trials: number of configurations that a search tries; None for `n_trials` of the study.
        halve_after: number of epochs after which a search continues only the best third of its trials, see `Pruning`;
            None for the median stopping rule.
        n_configurations: number of configurations that were compared on validation to choose `overrides`; None if
            unknown.
        published: results that others published for the same data and split, by metric: `{hr@10: 0.719}`.
        seeds: seeds of the model; each variant of the setting is run with every seed. A deterministic model needs only
            one.
    """

    overrides: Mapping[str, Any]
    search: Mapping[str, str] = field(default_factory=dict)
    n_trials: int | None = None
    halve_after: int | None = None
    n_configurations: int | None = None
    published: Mapping[str, float] = field(default_factory=dict)
    seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Pair:
    """Two rows (models) that a study declares for a comparison.

    Attributes:
        rows: names of the rows, such as `(Markov, EASE)`.
        metric: one of the setting's metrics.
    """

    rows: tuple[str, str]
    metric: str


@dataclass(frozen=True)
class Setting:
    """The data, split and protocol on which rows (models) are evaluated; each setting has a table of its own.

    Attributes:
        overrides: config overrides: `{data: ml-100k, split: folds, split.fold: [1, 2, 3, 4, 5]}`. Every combination of
            the listed values is a variant, and is run; the table shows the mean over variants.
        rows: rows of the table by name.
        metrics: metrics in the columns of the table, without `valid/` or `test/`, such as `ndcg@10`; the main metric
            comes first.
        varied: keys of `overrides` for which the config lists several values, even if a command selects only one
            of these values.
        on_demand: whether the setting is run only by commands that name it or that select no other setting; for
            example, because its files cannot be downloaded.
        pairs: pairs of rows to compare, written in a config as `[Markov, EASE]` for the main metric, or as `[Markov,
            EASE, hr@10]`. All pairs of a study are one family of tests.
        margin: difference within which two rows count as equivalent, chosen before results are known; None for no test
            of equivalence.
    """

    overrides: Mapping[str, Any]
    rows: Mapping[str, Row]
    metrics: tuple[str, ...]
    varied: tuple[str, ...] = ()
    on_demand: bool = False
    pairs: tuple[Pair, ...] = ()
    margin: float | None = None


@dataclass(frozen=True)
class Study:
    """A question and the runs that answer it.

    Attributes:
        name: name of the study, which its config and its folder share.
        question: the question, in one sentence.
        settings: settings (data, split and protocol) by name.
        seeds: default seeds of the final runs; the trials of a search use a seed that no final run has.
        baselines: names of rows that are baselines. All other rows are compared with the baseline that is best on
            validation.
        n_trials: number of configurations that the search of a row tries, unless the row has its own number.
        search: whether to search again for hyperparameters that have already been chosen.
        settings_run: names of the settings to run; if empty, all settings without `on_demand` are run.
        rows_run: names of the rows to run; rows on which these depend are run too. If empty, all rows are run.
        tolerance: relative difference that is allowed between a published metric and its repetition on another
            platform, for rows (models) with a single seed.
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
    tolerance: float = 0.01

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Study:
        """Build a study from its description in a config.

        The `seeds` and `rows` of the study are the defaults for its settings; the `seeds` of a setting are the default
        for its rows.

        Raises:
            UserError: a key or a name is unknown, or a required key is missing.
        """
        defaults = {"seeds": config.get("seeds", [0]), "rows": config.get("rows", {})}
        settings = {name: _setting(name, {**defaults, **own}) for name, own in config.get("settings", {}).items()}
        own = {key: value for key, value in config.items() if key != "rows"}
        study = _construct(cls, "the study", {**own, "settings": settings})
        rows = {row for setting in settings.values() for row in setting.rows}
        for key, known in (("baselines", rows), ("rows_run", rows), ("settings_run", settings.keys())):
            if unknown := set(getattr(study, key)) - set(known):
                raise UserError(
                    f"study.{key} must be among {', '.join(sorted(known))} (got {', '.join(sorted(unknown))})."
                )
        return study

    def restricted_to(self, command: Mapping[str, Sequence[str]]) -> Study:
        """Return the part of the study that is selected by a command and by `settings_run` and `rows_run`.

        Args:
            command: key -> selected values as text. The key is `seed`, `model`, or a key of the settings' overrides;
                other keys have no effect.

        Raises:
            UserError: no row has one of the seeds, a row refers to an unknown row, or no run is left.
        """
        seeds = {str(seed) for setting in self.settings.values() for row in setting.rows.values() for seed in row.seeds}
        if unknown := set(command.get("seed", ())) - seeds:
            raise UserError(
                f"seed must be among {', '.join(sorted(seeds))} in the study {self.name} "
                f"(got {', '.join(sorted(unknown))})."
            )
        selected = {
            name: replace(setting, overrides=own, rows=rows, pairs=_within(setting.pairs, rows))
            for name, setting in self.settings.items()
            if name in self.settings_run or not self.settings_run
            if (own := _restricted(setting.overrides, command)) and (rows := self._selected_rows(setting.rows, command))
        }
        default = {
            name: setting for name, setting in selected.items() if name in self.settings_run or not setting.on_demand
        }
        if selected:
            return replace(self, settings=default or selected)
        requested = " ".join(f"{key}={','.join(values)}" for key, values in command.items())
        available = "; ".join(f"{name}: {dict(setting.overrides)}" for name, setting in self.settings.items())
        raise UserError(
            f"No run of the study {self.name} matches {requested or 'the selected rows'}. Its settings are {available}."
        )

    def _selected_rows(self, rows: Mapping[str, Row], command: Mapping[str, Sequence[str]]) -> dict[str, Row]:
        """Return the rows (models) that a command and `rows_run` select, and the rows on which these depend.

        The rows have only the selected seeds; a row that has none of these keeps all of its seeds.

        Args:
            rows: rows of a setting by name.
            command: key -> selected values as text; only `model` and `seed` have an effect here.
        """
        models, seeds = command.get("model"), command.get("seed", ())
        selected = {
            name
            for name, row in rows.items()
            if (models is None or row.overrides.get("model") in models) and (not self.rows_run or name in self.rows_run)
        }
        while missing := {name for row in selected for name in row_dependencies(rows, row)} - selected:
            selected |= missing
        return {
            name: replace(row, seeds=tuple(seed for seed in row.seeds if str(seed) in seeds) or row.seeds)
            for name, row in rows.items()
            if name in selected
        }

    def n_trials_of(self, row: Row) -> int:
        """Return the number of configurations that the hyperparameter search of a row (model) tries."""
        return self.n_trials if row.n_trials is None else row.n_trials

    def with_chosen_overrides(self, chosen: Mapping[tuple[str, str], Mapping[str, Any]]) -> Study:
        """Return the study with the hyperparameters that searches chose.

        Each searched row also gets the number of configurations that its search compared.

        Args:
            chosen: (name of the setting, name of the row) -> overrides, which are added to the row's own overrides and
                take precedence over them.
        """
        settings = {
            name: replace(
                setting,
                rows={
                    row: replace(
                        own,
                        overrides={**own.overrides, **chosen[name, row]},
                        n_configurations=self.n_trials_of(own),
                    )
                    if (name, row) in chosen
                    else own
                    for row, own in setting.rows.items()
                },
            )
            for name, setting in self.settings.items()
        }
        return replace(self, settings=settings)


def row_dependencies(rows: Mapping[str, Row], name: str) -> set[str]:
    """Return the names of the rows to whose runs a row (model) refers in its overrides.

    Args:
        rows: rows of the setting by name.
        name: name of the referring row.

    Raises:
        UserError: the row refers to an unknown row.
    """
    values = [value for value in rows[name].overrides.values() if isinstance(value, str)]
    referenced = {row for value in values for row in REFERENCE.findall(value)}
    if unknown := referenced - rows.keys():
        raise UserError(
            f"References of the row {name} must name rows of the same setting: {', '.join(rows)} "
            f"(got {', '.join(sorted(unknown))})."
        )
    return referenced


def as_list(value: Any) -> list[Any]:
    """Return a value of an override as a list: a list is returned unchanged, a single value as a list of one."""
    return value if isinstance(value, list) else [value]


def _setting(name: str, config: Mapping[str, Any]) -> Setting:
    rows = {row: _row(row, {"seeds": config["seeds"], **own}) for row, own in config["rows"].items()}
    own = {key: value for key, value in config.items() if key != "seeds"}
    own["pairs"] = [_pair(name, pair, rows, config.get("metrics", [])) for pair in config.get("pairs", [])]
    varied = [key for key, value in config.get("overrides", {}).items() if len(as_list(value)) > 1]
    return _construct(Setting, f"the setting {name}", {**own, "rows": rows, "varied": varied})


def _row(name: str, config: Mapping[str, Any]) -> Row:
    known = {each.name for each in fields(Row)}
    own = {key: value for key, value in config.items() if key in known}
    overrides = {key: value for key, value in config.items() if key not in known}
    if not isinstance(own.get("search", {}), Mapping):
        raise UserError(
            f"search of the row {name} must be a mapping of settings to their values, as in "
            f"search: {{model.l2: 'choice(100, 300)'}} (got {own['search']!r})."
        )
    return _construct(Row, f"the row {name}", {**own, "overrides": overrides})


def _pair(setting: str, names: Sequence[str], rows: Mapping[str, Row], metrics: Sequence[str]) -> Pair:
    row, other, metric = (*names, *metrics[:1])[:3] if len(names) in (2, 3) and metrics else ("", "", "")
    if not {row, other} <= rows.keys() or metric not in metrics:
        raise UserError(
            f"Pairs of the setting {setting} must name two of its rows, and may name one of its metrics "
            f"(got {', '.join(map(str, names))})."
        )
    return Pair((row, other), metric)


def _construct(kind: type, owner: str, values: Mapping[str, Any]) -> Any:
    """Construct a dataclass from a part of a config, in which lists are replaced by tuples.

    Args:
        kind: the dataclass.
        owner: what the part describes, for messages, such as `the study`.
        values: the part of the config.

    Raises:
        UserError: a key is unknown, or a required key is missing.
    """
    known = {each.name for each in fields(kind)}
    if unknown := values.keys() - known:
        raise UserError(f"Keys of {owner} must be among {', '.join(sorted(known))} (got {', '.join(sorted(unknown))}).")
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
    except TypeError as error:
        raise UserError(f"The description of {owner} is incomplete: {error}.") from error


def _within(pairs: Sequence[Pair], rows: Mapping[str, Row]) -> tuple[Pair, ...]:
    return tuple(pair for pair in pairs if {*pair.rows} <= rows.keys())


def _restricted(overrides: Mapping[str, Any], command: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Return a setting's overrides with only the values that a command selects.

    The result is empty if the command selects none of the values of some key.
    """
    restricted = dict(overrides)
    for key in overrides.keys() & command.keys():
        values = [value for value in as_list(overrides[key]) if str(value) in command[key]]
        if not values:
            return {}
        restricted[key] = values
    return restricted
