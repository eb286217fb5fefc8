-- A few ratings that have every user, every item, and the first row of every part: what DuckDB needs to give codes.
SELECT user_id, min(movie_id) AS movie_id, NULL AS part, NULL AS source_row FROM ratings GROUP BY user_id
UNION ALL
SELECT min(user_id), movie_id, NULL, NULL FROM ratings GROUP BY movie_id
UNION ALL
SELECT min(user_id), min(movie_id), part, min(source_row) FROM ratings WHERE part IS NOT NULL GROUP BY part
