-- By choice, only ratings from a threshold up count as interactions.
SELECT * FROM ratings WHERE rating >= cast(:min_rating AS FLOAT)
