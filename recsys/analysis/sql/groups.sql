-- The mean rating of each group of enough people, its standard error over people, and the mean of all ratings.
WITH activity AS (SELECT "user", count(*) AS n, sum(rating) AS total FROM ratings GROUP BY "user")
SELECT fact, "group", count(*) AS size, sum(total) / sum(n) AS mean, mean_error(total, n) AS error,
    (SELECT avg(rating) FROM ratings) AS overall
FROM people JOIN activity USING ("user")
GROUP BY fact, "group" HAVING count(*) >= $smallest
ORDER BY fact = 'occupation', fact DESC, min(place), mean DESC, "group"
