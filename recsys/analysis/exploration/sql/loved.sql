-- The films with the highest mean rating, damped by adding $damping ratings equal to the overall mean to every film.
WITH overall AS (SELECT sum(total) / sum(n) AS mean FROM film_ratings)
SELECT film, n, total / n AS mean, (total + $damping * overall.mean) / (n + $damping) AS damped, stars,
    (SELECT list(DISTINCT rating ORDER BY rating) FROM ratings) AS scale
FROM film_ratings JOIN rating_counts USING (item), overall
ORDER BY damped DESC, n DESC, item
LIMIT $n_listed
