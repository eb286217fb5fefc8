-- The mean rating of each group of users, its standard error clustered by user, and the mean of all ratings; groups with
-- at least $min_size users.
WITH user_ratings AS (SELECT "user", count(*) AS n, sum(rating) AS total FROM ratings GROUP BY "user")
SELECT fact, "group", count(*) AS size, sum(total) / sum(n) AS mean, mean_error(total, n) AS error,
    (SELECT avg(rating) FROM ratings) AS overall
FROM user_groups JOIN user_ratings USING ("user")
GROUP BY fact, "group" HAVING count(*) >= $min_size
ORDER BY fact = 'occupation', fact DESC, min(sort_key), mean DESC, "group"
