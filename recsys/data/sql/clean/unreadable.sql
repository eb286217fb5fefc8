-- The first cell that holds text where a number belongs.
SELECT rowid AS source_row, 'rating' AS name, rating AS cell FROM raw_ratings
WHERE rating IS NOT NULL AND try_cast(rating AS DOUBLE) IS NULL
UNION ALL
SELECT rowid, 'time', time FROM raw_ratings
WHERE time IS NOT NULL AND try_cast(time AS DOUBLE) IS NULL AND try_cast(time AS TIMESTAMP) IS NULL
UNION ALL
SELECT rowid, 'user_id', user_id FROM raw_ratings
WHERE $numeric_ids AND user_id IS NOT NULL AND try_cast(user_id AS BIGINT) IS NULL
UNION ALL
SELECT rowid, 'movie_id', movie_id FROM raw_ratings
WHERE $numeric_ids AND movie_id IS NOT NULL AND try_cast(movie_id AS BIGINT) IS NULL
ORDER BY source_row LIMIT 1
