-- The films with the highest mean, as if each had so many further ratings of the mean of all: few ratings prove little.
WITH everything AS (SELECT sum(total) / sum(n) AS mean FROM opinions)
SELECT film, n, total / n AS mean, (total + $damping * everything.mean) / (n + $damping) AS damped, stars,
    (SELECT list(DISTINCT rating ORDER BY rating) FROM ratings) AS scale
FROM opinions JOIN ballots USING (item), everything
ORDER BY damped DESC, n DESC, item
LIMIT $listed
