-- Users by how many films they have rated, and the share of users with so many or more.
WITH counted AS (SELECT count(*) AS n FROM ratings GROUP BY "user")
SELECT n, count(*) AS users, sum(count(*)) OVER (ORDER BY n DESC) / sum(count(*)) OVER () AS share
FROM counted GROUP BY n ORDER BY n
