-- The share of a group's ratings that go to films of a genre, and of the ratings of everybody else of whom the same fact
-- is known; the standard error of the difference over people. Only groups of enough people, with enough others.
WITH members AS (
    SELECT "user", "group", place, count(*) AS n
    FROM ratings JOIN people USING ("user") WHERE fact = $fact GROUP BY ALL
), watched AS (
    SELECT "user", genre, count(*) AS y FROM ratings JOIN film_genres USING (item) GROUP BY ALL
), groups AS (
    SELECT "group", min(place) AS place, count(*) AS people, sum(n) AS n, sum(cast(n AS DOUBLE) * n) AS nn
    FROM members GROUP BY "group"
), parts AS (
    SELECT "group", genre, sum(y) AS y, sum(cast(y AS DOUBLE) * y) AS yy, sum(cast(y AS DOUBLE) * n) AS yn
    FROM members JOIN watched USING ("user") GROUP BY ALL
), moments AS (
    SELECT groups.*, genre, coalesce(y, 0) AS y, coalesce(yy, 0) AS yy, coalesce(yn, 0) AS yn
    FROM groups CROSS JOIN (SELECT DISTINCT genre FROM parts) LEFT JOIN parts USING ("group", genre)
), compared AS (
    SELECT *,
        sum(people) OVER everybody - people AS people_else, sum(n) OVER everybody - n AS n_else,
        sum(nn) OVER everybody - nn AS nn_else, sum(y) OVER everybody - y AS y_else,
        sum(yy) OVER everybody - yy AS yy_else, sum(yn) OVER everybody - yn AS yn_else
    FROM moments WINDOW everybody AS (PARTITION BY genre)
)
SELECT "group", people, genre, y / n AS share, y_else / n_else AS share_else,
    sqrt(
        ratio_error(people, y, n, yy, yn, nn) ** 2
        + ratio_error(people_else, y_else, n_else, yy_else, yn_else, nn_else) ** 2) AS error
FROM compared
WHERE people >= $smallest AND people_else >= $smallest AND y_else > 0
ORDER BY place, people DESC, "group", sum(y) OVER (PARTITION BY genre) DESC, genre
