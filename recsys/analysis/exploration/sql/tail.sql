-- The number of films by number of ratings, and the share of films with at least this number.
WITH film_counts AS (SELECT count(*) AS n FROM ratings GROUP BY item)
SELECT n, count(*) AS films, sum(count(*)) OVER (ORDER BY n DESC) / sum(count(*)) OVER () AS share
FROM film_counts GROUP BY n ORDER BY n
