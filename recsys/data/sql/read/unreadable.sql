-- The first cell, from a row on, that holds text where a number belongs. A time may also be an ISO date and time.
WITH rows_read AS (SELECT rowid AS source_row, * FROM raw_ratings WHERE rowid >= $first_row)
SELECT source_row, 'rating' AS name, rating AS cell FROM rows_read
WHERE rating IS NOT NULL AND try_cast(rating AS DOUBLE) IS NULL
UNION ALL
SELECT source_row, 'time', time FROM rows_read
WHERE time IS NOT NULL AND try_cast(time AS DOUBLE) IS NULL AND try_cast(time AS TIMESTAMP) IS NULL
UNION ALL
SELECT source_row, 'user_id', user_id FROM rows_read
WHERE $numeric_ids AND user_id IS NOT NULL AND try_cast(user_id AS BIGINT) IS NULL
UNION ALL
SELECT source_row, 'movie_id', movie_id FROM rows_read
WHERE $numeric_ids AND movie_id IS NOT NULL AND try_cast(movie_id AS BIGINT) IS NULL
ORDER BY source_row LIMIT 1
