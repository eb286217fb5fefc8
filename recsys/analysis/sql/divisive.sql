-- The films with the widest spread of ratings (standard deviation), as if each had so many further ratings of the
-- spread that ratings have around the mean of their film: few ratings prove little.
WITH everything AS (SELECT sum(squares) / sum(n) AS variance FROM opinions)
SELECT film, n, sqrt(squares / n) AS spread,
    sqrt((squares + $damping * everything.variance) / (n + $damping)) AS damped, stars,
    (SELECT list(DISTINCT rating ORDER BY rating) FROM ratings) AS scale
FROM opinions JOIN ballots USING (item), everything
ORDER BY damped DESC, n DESC, item
LIMIT $listed
