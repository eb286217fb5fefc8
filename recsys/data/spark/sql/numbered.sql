-- The ratings of a file, interpreted, with the number of their row. Spark numbers the rows of each block of a file on its
-- own; a block's first row follows the last of the one before, so that no task has to number all rows.
WITH blocks AS (
    SELECT file, block, min(id) AS first_id, sum(count(*)) OVER (ORDER BY file, block) - count(*) AS n_before
    FROM located GROUP BY file, block
), texts AS (
    SELECT /*+ BROADCAST(blocks) */ :n_before + blocks.n_before + located.id - blocks.first_id AS source_row,
        if(:interpreted, visible(user_id), user_id) AS user_id,
        if(:interpreted, visible(movie_id), movie_id) AS movie_id,
        if(array_contains(:missing, rating), NULL, if(:rating_commas, replace(rating, ',', '.'), rating)) AS rating,
        if(array_contains(:missing, time), NULL, if(:time_commas, replace(time, ',', '.'), time)) AS time,
        part
    FROM located JOIN blocks USING (file, block)
), timed AS (
    SELECT *, try_cast(if(is_number(time), time, NULL) AS DECIMAL(20, 0)) AS whole_time FROM texts
)
SELECT source_row,
    CASE
        WHEN array_contains(:missing, user_id) THEN NULL
        WHEN :whole_users AND user_id RLIKE r'^-?[0-9]+[.]0+\z' THEN split_part(user_id, '.', 1)
        ELSE user_id
    END AS user_id,
    CASE
        WHEN array_contains(:missing, movie_id) THEN NULL
        WHEN :whole_items AND movie_id RLIKE r'^-?[0-9]+[.]0+\z' THEN split_part(movie_id, '.', 1)
        ELSE movie_id
    END AS movie_id,
    try_cast(rating AS FLOAT) AS rating,
    CASE
        WHEN :counts_rows THEN source_row + 1
        WHEN :has_unit AND is_number(time)
            THEN try_cast((whole_time - pmod(whole_time, :divisor)) / :divisor AS BIGINT)
        WHEN is_number(time) THEN try_cast(rint(cast(time AS DOUBLE)) AS BIGINT)
        ELSE try_cast(rint(seconds_of_date(time)) AS BIGINT)
    END AS time,
    part
FROM timed
