"""The questions of the exploratory report: a module for each section, and the tuple `QUESTIONS` of all questions."""

from recsys.analysis.exploration.questions import amounts, films, genres, preferences, times, users, years
from recsys.analysis.exploration.questions.question import INCLUDED, PARAMETERS, REQUIREMENTS, Question

__all__ = ["INCLUDED", "PARAMETERS", "QUESTIONS", "REQUIREMENTS", "Question"]

QUESTIONS: tuple[Question, ...] = (
    *amounts.QUESTIONS,
    *films.QUESTIONS,
    *genres.QUESTIONS,
    *years.QUESTIONS,
    *users.QUESTIONS,
    *preferences.QUESTIONS,
    *times.QUESTIONS,
)
