-- The number and share of ratings by month, in UTC, with the dates of the first and the last of all ratings.
WITH dated AS (SELECT make_timestamp(time * 1000000) AS time FROM ratings)
SELECT date_trunc('month', time) AS month, count(*) AS n, count(*) / sum(count(*)) OVER () AS share,
    min(min(time)) OVER () AS first, max(max(time)) OVER () AS last
FROM dated GROUP BY month ORDER BY month
