-- Clean ratings under codes, in buckets of users whose codes follow each other; in a bucket by user, then time, then the
-- source's row order: the last row is a user's latest rating.
SELECT user, item, rating, time, part, bucket
FROM (
    SELECT users.user, films.item, rating, time, coalesce(parts.code, CAST(-1 AS TINYINT)) AS part, source_row,
        cast(users.user AS BIGINT) * :n_buckets div :n_users AS bucket
    FROM ratings
    JOIN users ON users.user_id = ratings.user_id
    JOIN films ON films.movie_id = ratings.movie_id
    LEFT JOIN parts ON parts.part = ratings.part
    DISTRIBUTE BY bucket
    SORT BY bucket, user, time, source_row)
