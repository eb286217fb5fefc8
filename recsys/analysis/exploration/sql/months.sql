-- The number and share of ratings by month, in UTC.
SELECT date_trunc('month', make_timestamp(time * 1000000)) AS month, count(*) AS n, count(*) / sum(count(*)) OVER () AS share
FROM ratings GROUP BY month ORDER BY month
