"""Exploration of a data set by questions, each answered by a SELECT statement, a figure and a finding."""
