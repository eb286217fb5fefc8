-- Of several ratings of an item by a user the latest counts; among equal or missing times, the source's last row.
SELECT source_row, user_id, movie_id, rating, time, part
FROM (
    SELECT *, row_number() OVER (PARTITION BY user_id, movie_id ORDER BY time DESC, source_row DESC) AS place
    FROM checked WHERE rule IS NULL)
WHERE place = 1
