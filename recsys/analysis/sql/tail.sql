-- Films by how many ratings they have, and the share of films with so many or more.
WITH counted AS (SELECT count(*) AS n FROM ratings GROUP BY item)
SELECT n, count(*) AS films, sum(count(*)) OVER (ORDER BY n DESC) / sum(count(*)) OVER () AS share
FROM counted GROUP BY n ORDER BY n
