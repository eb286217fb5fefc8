-- By choice, only ratings from a threshold up count as interactions.
SELECT * FROM ratings WHERE rating >= $min_rating
