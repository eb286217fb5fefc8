-- The mean rating of each genre of enough films, its standard error over films, and the mean of all ratings.
SELECT genre AS "group", count(*) AS size, sum(total) / sum(n) AS mean, mean_error(total, n) AS error,
    (SELECT avg(rating) FROM ratings) AS overall
FROM film_genres JOIN opinions USING (item)
GROUP BY genre HAVING count(*) >= $smallest
ORDER BY mean DESC, genre
