-- The lowest and the highest rating that is finite.
SELECT min(rating) AS lowest, max(rating) AS highest FROM raw_ratings
WHERE rating > float('-infinity') AND rating < float('infinity')
