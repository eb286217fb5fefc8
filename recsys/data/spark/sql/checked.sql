-- Ratings, each with the first rule that rejects it, or NULL. The rules are those of DuckDB's checked.sql, which explains
-- them.
SELECT source_row, user_id, raw_ratings.movie_id, if(:has_ratings, rating, CAST(1 AS FLOAT)) AS rating, time, part,
    CASE
        WHEN user_id IS NULL OR raw_ratings.movie_id IS NULL THEN 'missing id'
        WHEN :has_ratings AND rating IS NULL THEN 'missing rating'
        WHEN :has_ratings AND rating NOT BETWEEN cast(:lowest AS FLOAT) AND cast(:highest AS FLOAT)
            THEN 'rating outside the scale'
        WHEN :has_times AND time IS NULL THEN 'missing time'
        WHEN time < unix_seconds(cast(:earliest AS TIMESTAMP)) OR time > unix_timestamp() + 86400
            THEN 'impossible time'
        WHEN NOT :keep_unknown_films AND raw_films.movie_id IS NULL THEN 'film unknown to the metadata'
    END AS rule
FROM raw_ratings LEFT JOIN raw_films ON raw_films.movie_id = raw_ratings.movie_id
