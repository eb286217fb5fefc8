-- Clean ratings under codes, by user, then time, then the source's row order: the last row is a user's latest rating.
SELECT "user", item, rating, time, coalesce(parts.code, -1) AS part
FROM ratings
JOIN users ON users.user_id = ratings.user_id
JOIN films ON films.movie_id = ratings.movie_id
LEFT JOIN parts ON parts.part = ratings.part
ORDER BY "user", time, source_row
