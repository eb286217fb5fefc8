"""Preparation by Spark, for ratings that outgrow one machine or that only Spark can reach.

Spark reads, cleans and codes the ratings with SQL of its own (`recsys/data/spark/sql`), whose rules and names are those
of DuckDB's `recsys/data/sql/clean`. DuckDB's SQL is not transpiled: lists, regular expressions and row numbers differ
silently. There are far fewer users and items than ratings, so DuckDB cleans them and assigns the codes.
"""

from recsys.data.spark.engine import Spark

__all__ = ["Spark"]
