"""Interpretation of the text of files: missing values, ids that are numbers, decimal commas, and units of times.

Afterwards ids are text, ratings are numbers, and times are seconds since 1970 or ISO dates, as the SQL of cleaning
expects them. What was detected, because no setting gives it, is returned as notes for the report.
"""
