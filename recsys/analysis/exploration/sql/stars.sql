-- The number and share of ratings by number of stars.
SELECT rating, count(*) AS n, count(*) / sum(count(*)) OVER () AS share FROM ratings GROUP BY rating ORDER BY rating
