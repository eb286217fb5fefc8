-- What the questions share: facts about people and films, a row each, and the statistics of groups.

-- a person's gender, age group and occupation; groups that have an order have a place in it
CREATE TEMP VIEW people AS
SELECT "user", 'gender' AS fact, CASE upper(gender) WHEN 'F' THEN 'women' WHEN 'M' THEN 'men' ELSE gender END AS "group",
    NULL AS place
FROM users WHERE gender IS NOT NULL
UNION ALL SELECT "user", 'age', age_group, age FROM users WHERE age_group IS NOT NULL
UNION ALL SELECT "user", 'occupation', occupation, NULL FROM users WHERE occupation IS NOT NULL;

-- a film of two genres has two rows
CREATE TEMP VIEW film_genres AS SELECT item, unnest(list_distinct(genres)) AS genre FROM films;

CREATE TEMP VIEW film_decades AS SELECT item, year // 10 * 10 AS decade FROM films WHERE year IS NOT NULL;

-- what people think of a film: ratings, their sum, squared deviations from their mean
CREATE TEMP VIEW opinions AS
SELECT item, count(*) AS n, sum(rating) AS total, count(*) * var_pop(rating) AS squares FROM ratings GROUP BY item;

-- how many people gave a film each number of stars; a film without a title goes by its id
CREATE TEMP VIEW ballots AS
SELECT item, coalesce(title || ' (' || year || ')', title, 'film ' || movie_id) AS film,
    map_from_entries(list((rating, n) ORDER BY rating)) AS stars
FROM (SELECT item, rating, count(*) AS n FROM ratings GROUP BY ALL) JOIN films USING (item)
GROUP BY ALL;

-- The standard error of sum(y) / sum(n) over clusters that are drawn as a whole (a user's ratings, a film's ratings),
-- from the moments of the clusters (Cochran, "Sampling Techniques", 3rd edition, 1977, chapter 6).
CREATE TEMP MACRO ratio_error(clusters, y, n, yy, yn, nn) AS
    sqrt(greatest(0, yy - 2 * y / n * yn + (y / n) * (y / n) * nn) * clusters / nullif(clusters - 1, 0)) / n;

-- the same, of a column of sums and a column of counts
CREATE TEMP MACRO mean_error(y, n) AS
    ratio_error(count(*), sum(y), sum(n), sum(y * y), sum(y * n), sum(cast(n AS DOUBLE) * n));
