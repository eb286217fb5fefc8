"""Exploration of a data set: each question about it is answered by a SELECT statement, a figure and a finding."""
