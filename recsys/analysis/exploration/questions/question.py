"""Questions of the exploratory report: the data that a question requires, its figure, and its finding as text.

The numbers come from a SELECT statement in `sql/`, usually in a file named after the question. Its result is passed to
the question's functions as the data frame `rows`. Findings are worded so that they hold for any data set: a difference
is reported only if chance does not explain it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

MIN_SIZE = 20  # users or films in a group; the mean of a smaller group is unreliable
DAMPING = 25  # number of average ratings that are added to those of every film
N_LISTED = 10  # number of films in a list
PARAMETERS = {"min_size": MIN_SIZE, "damping": DAMPING, "n_listed": N_LISTED}  # parameters of all SELECT statements

# The properties of a data set that a question may require, each with the reason to give where the data lack it.
REQUIREMENTS = {
    "ratings": "the interactions have no stars",
    "times": "the ratings have no times",
    "hours": "the times are dates",
    "genres": "the films have no genres",
    "years": "the films have no years",
    "people": "the data do not describe the users",
    "gender": "the users' gender is unknown",
    "age": "the users' age is unknown",
    "occupation": "the users' occupation is unknown",
}


# Requirements that include another requirement; if the data meet neither, only the included one is given as the reason.
INCLUDED = {"hours": "times", "gender": "people", "age": "people", "occupation": "people"}


@dataclass(frozen=True)
class Question:
    """A question about a data set, with functions that turn the result of a SELECT statement into its answer.

    Attributes:
        name: name of the figure's files, and of the SELECT statement's file unless `query` names another file.
        section: section of the report that has the question.
        text: the question itself.
        alt_text: description of the figure for readers who cannot see it.
        draw: draws the figure from the rows of the SELECT statement.
        summarize: states the finding from these rows in one or more sentences.
        requires: properties that the data must have; keys of `REQUIREMENTS`.
        query: name of the SELECT statement's file if several questions share it; else empty.
        parameters: parameters of the SELECT statement, in addition to `PARAMETERS`.
        min_rows: smallest number of rows with which the question can be answered.
    """

    name: str
    section: str
    text: str
    alt_text: str
    draw: Callable[[pd.DataFrame], Figure]
    summarize: Callable[[pd.DataFrame], str]
    requires: tuple[str, ...] = ()
    query: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    min_rows: int = 1
