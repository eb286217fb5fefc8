-- Views and macros that several queries share.

-- Each user's gender, age group and occupation, a row each; groups that have an order have a sort key.
CREATE TEMP VIEW user_groups AS
SELECT "user", 'gender' AS fact, CASE upper(gender) WHEN 'F' THEN 'women' WHEN 'M' THEN 'men' ELSE gender END AS "group",
    NULL AS sort_key
FROM users WHERE gender IS NOT NULL
UNION ALL SELECT "user", 'age', age_group, age FROM users WHERE age_group IS NOT NULL
UNION ALL SELECT "user", 'occupation', occupation, NULL FROM users WHERE occupation IS NOT NULL;

-- A film with two genres has two rows.
CREATE TEMP VIEW film_genres AS SELECT item, unnest(list_distinct(genres)) AS genre FROM films;

CREATE TEMP VIEW film_decades AS SELECT item, year // 10 * 10 AS decade FROM films WHERE year IS NOT NULL;

-- The number and sum of a film's ratings, and the sum of their squared deviations from the film's mean.
CREATE TEMP VIEW film_ratings AS
SELECT item, count(*) AS n, sum(rating) AS total, count(*) * var_pop(rating) AS squares FROM ratings GROUP BY item;

-- A film's number of ratings by number of stars; a film without a title is named by its id.
CREATE TEMP VIEW rating_counts AS
SELECT item, coalesce(title || ' (' || year || ')', title, 'film ' || movie_id) AS film,
    map_from_entries(list((rating, n) ORDER BY rating)) AS stars
FROM (SELECT item, rating, count(*) AS n FROM ratings GROUP BY ALL) JOIN films USING (item)
GROUP BY ALL;

-- The standard error of the ratio sum(y) / sum(n) over clusters (all ratings of a user, or of a film), from the clusters'
-- sums of squares and products (Cochran, "Sampling Techniques", 3rd edition, 1977, chapter 6).
CREATE TEMP MACRO ratio_error(clusters, y, n, yy, yn, nn) AS
    sqrt(greatest(0, yy - 2 * y / n * yn + (y / n) * (y / n) * nn) * clusters / nullif(clusters - 1, 0)) / n;

-- The same from a column of the clusters' sums and a column of their counts.
CREATE TEMP MACRO mean_error(y, n) AS
    ratio_error(count(*), sum(y), sum(n), sum(y * y), sum(y * n), sum(cast(n AS DOUBLE) * n));
