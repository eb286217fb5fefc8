"""Interpretation of the text in raw tables: missing values, numeric ids, decimal commas, and units of times.

Afterwards ids are in one notation, ratings are numbers, and times are seconds since 1970 or ISO dates, as the SQL of
cleaning expects. Notations that were detected, because no setting gives them, are returned as notes for the report.
"""
