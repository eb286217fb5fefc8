-- The mean rating of films from each decade with enough films, its standard error over films, and the mean of all ratings.
SELECT decade || 's' AS "group", count(*) AS size, sum(total) / sum(n) AS mean, mean_error(total, n) AS error,
    (SELECT avg(rating) FROM ratings) AS overall
FROM film_decades JOIN opinions USING (item)
GROUP BY decade HAVING count(*) >= $smallest
ORDER BY decade
