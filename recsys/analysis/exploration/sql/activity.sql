-- The number of users by number of rated films, and the share of users with at least this number.
WITH user_counts AS (SELECT count(*) AS n FROM ratings GROUP BY "user")
SELECT n, count(*) AS users, sum(count(*)) OVER (ORDER BY n DESC) / sum(count(*)) OVER () AS share
FROM user_counts GROUP BY n ORDER BY n
