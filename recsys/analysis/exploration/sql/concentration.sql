-- The cumulative share of films, from the most to the least rated, and the cumulative share of their ratings.
WITH film_counts AS (SELECT item, count(*) AS n FROM ratings GROUP BY item)
SELECT
    row_number() OVER ranked / count(*) OVER () AS films,
    sum(n) OVER ranked / sum(n) OVER () AS ratings
FROM film_counts
WINDOW ranked AS (ORDER BY n DESC, item ROWS UNBOUNDED PRECEDING)
ORDER BY films
