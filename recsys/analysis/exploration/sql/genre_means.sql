-- The mean rating of each genre, its standard error clustered by film, and the mean of all ratings; genres with at least
-- $min_size films.
SELECT genre AS "group", count(*) AS size, sum(total) / sum(n) AS mean, mean_error(total, n) AS error,
    (SELECT avg(rating) FROM ratings) AS overall
FROM film_genres JOIN film_ratings USING (item)
GROUP BY genre HAVING count(*) >= $min_size
ORDER BY mean DESC, genre
