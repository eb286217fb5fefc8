-- The lowest and the highest rating that is finite, among rows with ids.
SELECT min(rating) AS lowest, max(rating) AS highest FROM raw_ratings
WHERE rating > float('-infinity') AND rating < float('infinity') AND user_id IS NOT NULL AND movie_id IS NOT NULL
