-- The share of a group's ratings that go to each genre, the same share of all other users whose attribute is known, and
-- the standard error of the difference, clustered by user; groups with at least $min_size users and as many others.
-- Moments over the users of a group: n is the number of ratings of a user, y that of ratings of one genre; nn, yy and yn
-- are sums of their squares and products.
WITH members AS (
    SELECT "user", "group", sort_key, count(*) AS n
    FROM ratings JOIN user_groups USING ("user") WHERE fact = $fact GROUP BY ALL
), genre_counts AS (
    SELECT "user", genre, count(*) AS y FROM ratings JOIN film_genres USING (item) GROUP BY ALL
), groups AS (
    SELECT "group", min(sort_key) AS sort_key, count(*) AS users, sum(n) AS n, sum(cast(n AS DOUBLE) * n) AS nn
    FROM members GROUP BY "group"
), genre_moments AS (
    SELECT "group", genre, sum(y) AS y, sum(cast(y AS DOUBLE) * y) AS yy, sum(cast(y AS DOUBLE) * n) AS yn
    FROM members JOIN genre_counts USING ("user") GROUP BY ALL
), moments AS (
    SELECT groups.*, genre, coalesce(y, 0) AS y, coalesce(yy, 0) AS yy, coalesce(yn, 0) AS yn
    FROM groups CROSS JOIN (SELECT DISTINCT genre FROM genre_moments) LEFT JOIN genre_moments USING ("group", genre)
), compared AS (
    SELECT *,
        sum(users) OVER all_groups - users AS users_else, sum(n) OVER all_groups - n AS n_else,
        sum(nn) OVER all_groups - nn AS nn_else, sum(y) OVER all_groups - y AS y_else,
        sum(yy) OVER all_groups - yy AS yy_else, sum(yn) OVER all_groups - yn AS yn_else
    FROM moments WINDOW all_groups AS (PARTITION BY genre)
)
SELECT "group", users, genre, y / n AS share, y_else / n_else AS share_else,
    sqrt(
        ratio_error(users, y, n, yy, yn, nn) ** 2
        + ratio_error(users_else, y_else, n_else, yy_else, yn_else, nn_else) ** 2) AS error
FROM compared
WHERE users >= $min_size AND users_else >= $min_size AND y_else > 0
ORDER BY sort_key, users DESC, "group", sum(y) OVER (PARTITION BY genre) DESC, genre
