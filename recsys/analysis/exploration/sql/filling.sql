-- The share of user-film pairs that are rated, by tenths of the users, the most active first, and tenths of the films,
-- the most rated first.
WITH user_tenths AS (
    SELECT "user", ntile(10) OVER (ORDER BY count(*) DESC, "user") AS user_tenth FROM ratings GROUP BY "user"
), film_tenths AS (
    SELECT item, ntile(10) OVER (ORDER BY count(*) DESC, item) AS film_tenth FROM ratings GROUP BY item
), pairs AS (
    SELECT user_tenth, film_tenth, n_users * n_films AS n_pairs
    FROM (SELECT user_tenth, count(*) AS n_users FROM user_tenths GROUP BY user_tenth)
    CROSS JOIN (SELECT film_tenth, count(*) AS n_films FROM film_tenths GROUP BY film_tenth)
), rated AS (
    SELECT user_tenth, film_tenth, count(*) AS n
    FROM ratings JOIN user_tenths USING ("user") JOIN film_tenths USING (item) GROUP BY ALL
)
SELECT user_tenth, film_tenth, n_pairs, coalesce(n, 0) AS n, coalesce(n, 0) / n_pairs AS share
FROM pairs LEFT JOIN rated USING (user_tenth, film_tenth)
ORDER BY user_tenth, film_tenth
