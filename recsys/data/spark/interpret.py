"""Interpretation of the text of ratings by Spark, with the same results and notes as `recsys.data.interpret`.

Notations that only DuckDB can interpret, such as the date `03/04/2020`, raise a `UserError`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from recsys.data.interpret.ids import (
    DIFFERING_BY_ZEROS,
    IDS,
    PERHAPS_MISSING,
    WHOLE_IDS,
    WITHOUT_INVISIBLE,
    WITHOUT_MARKS,
)
from recsys.data.interpret.ratings import DECIMAL_COMMAS, has_decimal_commas, spellings
from recsys.data.interpret.rows import ABSENT
from recsys.data.interpret.times import COMPACT, LEAST, TIMES, UNIT_NAMES, UNITS
from recsys.data.spark.inputs import Located, refusal, select
from recsys.errors import UserError

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, Row, SparkSession


def numbered(
    spark: SparkSession, located: Located, numeric_ids: bool, n_before: int
) -> tuple[DataFrame, Row, list[str]]:
    """Interpret the rows of a file of ratings, and number them.

    Args:
        spark: the Spark session; its view `located` contains the rows.
        located: the rows as they were read, with the settings of how to read them.
        numeric_ids: whether ids must be whole numbers.
        n_before: number of rows in earlier files, after which numbering continues.

    Returns:
        A data frame with a row per rating and the columns `source_row` (the number), `user_id`, `movie_id`, `rating`,
        `time` (Unix seconds) and `part`; the statistics of the text (`sql/facts.sql`); and notes on what was detected.

    Raises:
        UserError: there are no rows, or a cell cannot be interpreted.
    """
    missing = _array(("", *located.reading.missing))  # empty text is missing already
    facts = _facts(spark, located, missing)
    marked = [name for name in IDS if located.interpreted and _is_marked(facts, name)]
    examples = {name: facts[f"least_{name}"] for name in marked}
    if marked:
        _remove_marks(spark, marked)
        facts = _facts(spark, located, missing)
    _check(located, facts, numeric_ids)
    commas = {name: _has_commas(located, name, facts) for name in ("rating", "time")}
    whole = {
        name: located.interpreted and bool(facts[f"n_{name}_whole"] and not facts[f"n_{name}_fraction"]) for name in IDS
    }
    given = located.reading.time_format
    unit = given or _unit(located, facts)
    rows = select(
        spark,
        "numbered",
        n_before=n_before,
        missing=missing,
        interpreted=located.interpreted,
        rating_commas=commas["rating"],
        time_commas=commas["time"],
        whole_users=whole["user_id"],
        whole_items=whole["movie_id"],
        counts_rows=located.counts_rows,
        has_unit=located.interpreted and (given is not None or unit != "s"),
        divisor=UNITS[unit],
    )
    of_ids = _notes_on_ids(spark, rows, facts, examples, whole) if located.interpreted else []
    notes = [*located.notes, *of_ids, *_notes_on_numbers(located, commas, unit)]
    return rows, facts, [f"{located.name}: {note}" for note in notes]


def _array(texts: Sequence[str]) -> Column:
    from pyspark.sql.functions import array, lit

    return array(*map(lit, texts))


def _facts(spark: SparkSession, located: Located, missing: Column) -> Row:
    """Return statistics of the text in the view `located`, such as counts of notations; see `sql/facts.sql`."""
    names = {
        f"{kind}_columns": _array(spellings(located.columns.get(name) or name, name))
        for name, kind in zip(IDS, ("user", "item"), strict=True)
    }
    least = {f"least_{unit}": least for unit, least in LEAST.items()}
    [facts] = select(spark, "facts", missing=missing, absent=_array(ABSENT), **names, **least).collect()
    return facts


def _is_marked(facts: Row, name: str) -> bool:
    """Return whether all ids of a column are enclosed in the same quotation marks."""
    least = facts[f"least_{name}_mark"]
    return not facts[f"n_{name}_unmarked"] and least is not None and least == facts[f"greatest_{name}_mark"]


def _remove_marks(spark: SparkSession, names: Sequence[str]) -> None:
    """Remove the quotation marks around the ids in the named columns of the view `located`."""
    from pyspark.sql.functions import expr

    unmarked = spark.table("located").withColumns({name: expr(f"without_marks({name})") for name in names})
    unmarked.createOrReplaceTempView("located")


def _notes_on_ids(
    spark: SparkSession, rows: DataFrame, facts: Row, examples: Mapping[str, str], whole: Mapping[str, bool]
) -> list[str]:
    """Return notes on the notations that were detected in ids.

    Args:
        spark: the Spark session.
        rows: the interpreted rows.
        facts: the statistics of the text, see `_facts`.
        examples: column name -> an id with its quotation marks, for each column from which quotation marks were
            removed.
        whole: column name -> whether its ids are whole numbers that were written with decimals.
    """
    notes = []
    for name in IDS:
        notes += [WITHOUT_MARKS.format(name=name, example=examples[name])] if name in examples else []
        notes += [WITHOUT_INVISIBLE.format(name=name)] if facts[f"n_{name}_padded"] else []
        notes += [WHOLE_IDS.format(name=name)] if whole[name] else []
        notes += _differing_by_zeros(spark, rows, name) if facts[f"n_{name}_zeros"] else []
        if (absent := facts[f"absent_{name}"]) is not None:
            notes.append(PERHAPS_MISSING.format(name=name, id=absent))
    return notes


def _notes_on_numbers(located: Located, commas: Mapping[str, bool], unit: str) -> list[str]:
    """Return notes on decimal commas and on the unit of times, if these were detected because no setting gives them.

    Args:
        located: the rows as they were read, with the settings of how to read them.
        commas: column name -> whether its commas are decimal marks.
        unit: unit of the times, a key of `UNITS`.
    """
    notes = []
    if located.reading.decimal is None:
        notes += [DECIMAL_COMMAS.format(name=name) for name, has_commas in commas.items() if has_commas]
    if located.reading.time_format is None and unit in UNIT_NAMES:
        notes.append(TIMES.format(name=UNIT_NAMES[unit], format=unit))
    return notes


def _differing_by_zeros(spark: SparkSession, rows: DataFrame, name: str) -> list[str]:
    """Return a list with a note and an example if some ids differ only by leading zeros, otherwise an empty list."""
    rows.selectExpr(f"{name} AS id").createOrReplaceTempView("ids")
    return [DIFFERING_BY_ZEROS.format(name=name, **row.asDict()) for row in select(spark, "differing").collect()]


def _check(located: Located, facts: Row, numeric_ids: bool) -> None:
    """Check that there are rows, that ids and times are not rounded, and that cells are numbers or dates as required.

    Raises:
        UserError: there are no rows, or a cell is not as required.
    """
    label = located.label
    if not facts["n_rows"]:
        raise UserError(f"{label} has no rows.")
    if facts["n_headers"] and located.interpreted:
        raise UserError(f"{label} repeats its header: remove this line.")
    for name in IDS if located.interpreted else ():
        if cell := facts[f"rounded_{name}"]:
            raise UserError(
                f"{label} must have whole ids (got {cell!r} in column {located.columns.get(name) or name}, which may "
                "be rounded): export this column as text."
            )
    if located.interpreted and 2 * facts["n_times_short"] > facts["n_times"]:
        raise UserError(
            f"{label} must have whole times (got {facts['short_time']!r} in column "
            f"{located.columns.get('time') or 'time'}, which may be rounded): export this column as text."
        )
    for name in (*IDS, "rating", "time") if numeric_ids else ("rating", "time"):
        if cell := facts[f"text_{name}"]:
            column = located.columns.get(name) or name
            hint = "; engine=duckdb reads dates in other formats than ISO's" if name == "time" else ""
            raise UserError(f"{label} has text where a number belongs: {cell!r} in column {column}{hint}.")


def _has_commas(located: Located, name: str, facts: Row) -> bool:
    """Return whether the commas in a column of numbers are decimal marks.

    Raises:
        UserError: the column has commas that are not decimal marks, or that may separate thousands.
    """
    counts = (facts[f"n_{name}_{kind}"] for kind in ("commas", "thousands", "points"))
    has_commas = has_decimal_commas(located.label, name, located.reading, *counts)
    if not has_commas and (cell := facts[f"comma_{name}"]):
        column = located.columns.get(name) or name
        raise UserError(f"{located.label} has text where a number belongs: {cell!r} in column {column}.")
    return has_commas


def _unit(located: Located, facts: Row) -> str:
    """Return the unit of numeric times, a key of `UNITS`, judged by the magnitude of most of the numbers.

    Raises:
        UserError: the numbers may be dates, such as 20041109.
    """
    n = facts["n_time_numbers"]
    if n and any(low <= facts["least_time"] <= facts["greatest_time"] <= high for low, high in COMPACT.values()):
        raise refusal(f"times of {located.label} that may be dates, such as {facts['least_time']:.0f}")
    return next((unit for unit in LEAST if 2 * facts[f"n_times_{unit}"] > n), "s")
