"""Preparation by Spark, for ratings that outgrow one machine or that only Spark reaches.

Spark reads, cleans and codes the ratings with SQL of its own (`recsys/data/spark/sql`), whose rules and names are those
of DuckDB's `recsys/data/sql/clean`. DuckDB's SQL is not transpiled: lists, regular expressions and row numbers differ
silently. Users and items are few beside ratings, so DuckDB describes them and gives the codes.
"""

from recsys.data.spark.engine import Spark

__all__ = ["Spark"]
