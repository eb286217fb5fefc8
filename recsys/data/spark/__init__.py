"""Preparation of data sets by Spark, for ratings too large for one machine or stored where only Spark can read them.

Spark reads and cleans the ratings, and replaces raw ids by codes, with SQL of its own (`recsys/data/spark/sql`). It
follows the same rules and uses the same names as DuckDB's SQL in `recsys/data/sql/clean`, but is not a transpilation of
it, because lists, regular expressions and row numbers behave differently in the two engines, and no error reveals that.
Users and items are far fewer than ratings, so DuckDB cleans them and assigns the codes.
"""

from recsys.data.spark.engine import Spark

__all__ = ["Spark"]
