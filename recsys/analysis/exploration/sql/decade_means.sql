-- The mean rating of films by decade, its standard error clustered by film, and the mean of all ratings; decades with
-- at least $min_size films.
SELECT decade || 's' AS "group", count(*) AS size, sum(total) / sum(n) AS mean, mean_error(total, n) AS error,
    (SELECT avg(rating) FROM ratings) AS overall
FROM film_decades JOIN film_ratings USING (item)
GROUP BY decade HAVING count(*) >= $min_size
ORDER BY decade
