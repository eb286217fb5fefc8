-- Ratings as numbers, each with the first rule that rejects it, or NULL. Rejected ratings are counted by rule.
WITH typed AS (
    SELECT rowid AS source_row, user_id, movie_id, try_cast(rating AS FLOAT) AS rating, part,
        -- seconds UTC, or an ISO date and time
        cast(coalesce(try_cast(time AS DOUBLE), epoch(try_cast(time AS TIMESTAMP))) AS BIGINT) AS time
    FROM raw_ratings
)
SELECT *,
    CASE
        -- nobody's rating, or of nothing
        WHEN user_id IS NULL OR movie_id IS NULL THEN 'missing id'
        WHEN rating IS NULL THEN 'missing rating'
        -- the source's own scale; a NaN is above every scale
        WHEN rating NOT BETWEEN $lowest AND $highest THEN 'rating outside the scale'
        -- a source that has times cannot place a rating that has none; a source without times keeps all its ratings
        WHEN time IS NULL AND (SELECT count(time) > 0 FROM raw_ratings) THEN 'missing time'
        -- before there was anything to rate on, or later than tomorrow (clocks and time zones differ)
        WHEN time < epoch(cast($earliest AS TIMESTAMP)) OR time > epoch(now()) + 86400 THEN 'impossible time'
        -- by choice; otherwise the film is kept with its metadata missing
        WHEN NOT $keep_unknown_films AND movie_id NOT IN (SELECT movie_id FROM raw_films WHERE movie_id IS NOT NULL)
            THEN 'film unknown to the metadata'
    END AS rule
FROM typed
