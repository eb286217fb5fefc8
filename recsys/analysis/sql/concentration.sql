-- Films from the most to the least rated: the share of films so far, and the share of the ratings that they have.
WITH counted AS (SELECT item, count(*) AS n FROM ratings GROUP BY item)
SELECT
    row_number() OVER ranked / count(*) OVER () AS films,
    sum(n) OVER ranked / sum(n) OVER () AS ratings
FROM counted
WINDOW ranked AS (ORDER BY n DESC, item ROWS UNBOUNDED PRECEDING)
ORDER BY films
