-- The films that a user's test film is ranked among, in the source's order; films without a clean rating have no code.
WITH lists AS (
    SELECT user_id, string_split(movie_ids, '|') AS movie_ids FROM raw_negatives
), listed AS (
    SELECT user_id, unnest(movie_ids) AS movie_id, generate_subscripts(movie_ids, 1) AS place FROM lists
)
SELECT "user", item, cast(row_number() OVER (PARTITION BY "user" ORDER BY place) - 1 AS INTEGER) AS place
FROM listed
JOIN users ON users.user_id = listed.user_id
JOIN films ON films.movie_id = listed.movie_id
