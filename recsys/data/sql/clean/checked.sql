-- Ratings as numbers, each with the first rule that rejects it, or NULL. Rejected ratings are counted by rule.
WITH source AS (
    SELECT count(rating) > 0 AS has_ratings, count(time) > 0 AS has_times FROM raw_ratings
), typed AS (
    SELECT raw_ratings.rowid AS source_row, user_id, movie_id, part, source.*,
        -- in a source without ratings every row says that a film was seen, no more
        if(has_ratings, try_cast(rating AS FLOAT), 1) AS rating,
        -- seconds UTC, or an ISO date and time
        try_cast(coalesce(try_cast(time AS DOUBLE), epoch(try_cast(time AS TIMESTAMP))) AS BIGINT) AS time
    FROM raw_ratings, source
)
SELECT source_row, user_id, movie_id, rating, time, part,
    CASE
        -- nobody's rating, or of nothing
        WHEN user_id IS NULL OR movie_id IS NULL THEN 'missing id'
        -- in a source that has ratings
        WHEN rating IS NULL THEN 'missing rating'
        -- the source's own scale; a NaN is above every scale
        WHEN has_ratings AND rating NOT BETWEEN cast($lowest AS FLOAT) AND cast($highest AS FLOAT)
            THEN 'rating outside the scale'
        -- a source that has times cannot place a rating without one; a source that has none keeps all its ratings
        WHEN has_times AND time IS NULL THEN 'missing time'
        -- before there was anything to rate on, or later than tomorrow (clocks and time zones differ)
        WHEN time < epoch(cast($earliest AS TIMESTAMP)) OR time > epoch(now()) + 86400 THEN 'impossible time'
        -- by choice; otherwise the film is kept with its metadata missing
        WHEN NOT $keep_unknown_films AND movie_id NOT IN (SELECT movie_id FROM raw_films WHERE movie_id IS NOT NULL)
            THEN 'film unknown to the metadata'
    END AS rule
FROM typed
