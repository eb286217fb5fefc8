-- Of several ratings of a film by a user the latest counts; among equal or missing times, the source's last row.
SELECT * EXCLUDE (rule) FROM checked WHERE rule IS NULL
QUALIFY row_number() OVER (PARTITION BY user_id, movie_id ORDER BY time DESC, source_row DESC) = 1
