-- What kinds of text a file of ratings has, in one row: an example of what is refused, and how many cells there are of
-- what can be read in several ways.
WITH texts AS (
    SELECT user_id, movie_id, visible(user_id) AS user_text, visible(movie_id) AS item_text,
        if(array_contains(:missing, rating), NULL, rating) AS rating,
        if(array_contains(:missing, time), NULL, time) AS time
    FROM located
), numbers AS (
    -- times with decimal commas are refused if the commas may be anything else
    SELECT *, if(has_comma(time), replace(time, ',', '.'), time) AS number FROM texts
)
SELECT count(*) AS n_rows,
    count_if(array_contains(:user_columns, user_text) AND array_contains(:item_columns, item_text)) AS n_headers,
    count_if(user_id IS NOT NULL AND mark_of(user_id) IS NULL) AS n_user_id_unmarked,
    count_if(movie_id IS NOT NULL AND mark_of(movie_id) IS NULL) AS n_movie_id_unmarked,
    min(mark_of(user_id)) AS least_user_id_mark,
    max(mark_of(user_id)) AS greatest_user_id_mark,
    min(mark_of(movie_id)) AS least_movie_id_mark,
    max(mark_of(movie_id)) AS greatest_movie_id_mark,
    min(user_id) AS least_user_id,
    min(movie_id) AS least_movie_id,
    count_if(NOT user_id <=> user_text) AS n_user_id_padded,
    count_if(NOT movie_id <=> item_text) AS n_movie_id_padded,
    count_if(user_text RLIKE r'^0[0-9]+\z') AS n_user_id_zeros,
    count_if(item_text RLIKE r'^0[0-9]+\z') AS n_movie_id_zeros,
    min(if(array_contains(:absent, lower(user_text)) AND NOT array_contains(:missing, user_text), user_text, NULL))
        AS absent_user_id,
    min(if(array_contains(:absent, lower(item_text)) AND NOT array_contains(:missing, item_text), item_text, NULL))
        AS absent_movie_id,
    count_if(user_text RLIKE r'^-?[0-9]+[.]0+\z') AS n_user_id_whole,
    count_if(item_text RLIKE r'^-?[0-9]+[.]0+\z') AS n_movie_id_whole,
    count_if(user_text RLIKE r'^-?[0-9]*[.][0-9]+\z' AND NOT user_text RLIKE r'^-?[0-9]+[.]0+\z') AS n_user_id_fraction,
    count_if(item_text RLIKE r'^-?[0-9]*[.][0-9]+\z' AND NOT item_text RLIKE r'^-?[0-9]+[.]0+\z') AS n_movie_id_fraction,
    min(if(user_text RLIKE r'^(-?[0-9][.][0-9]+[eE][+]?[0-9]+|-?[0-9]+[eE][+][0-9]+)\z', user_text, NULL))
        AS rounded_user_id,
    min(if(item_text RLIKE r'^(-?[0-9][.][0-9]+[eE][+]?[0-9]+|-?[0-9]+[eE][+][0-9]+)\z', item_text, NULL))
        AS rounded_movie_id,
    min(if(try_cast(user_id AS BIGINT) IS NULL, user_id, NULL)) AS text_user_id,
    min(if(try_cast(movie_id AS BIGINT) IS NULL, movie_id, NULL)) AS text_movie_id,
    count(rating) AS n_ratings,
    min(if(is_number(rating) OR has_comma(rating), NULL, rating)) AS text_rating,
    min(if(has_comma(rating), rating, NULL)) AS comma_rating,
    count_if(has_comma(rating)) AS n_rating_commas,
    count_if(rating RLIKE r'^-?[0-9]+,[0-9]{3}\z') AS n_rating_thousands,
    count_if(is_number(rating) AND contains(rating, '.')) AS n_rating_points,
    count(time) AS n_times,
    min(if(is_number(time) OR has_comma(time) OR seconds_of_date(time) IS NOT NULL, NULL, time)) AS text_time,
    min(if(has_comma(time), time, NULL)) AS comma_time,
    count_if(has_comma(time)) AS n_time_commas,
    count_if(time RLIKE r'^-?[0-9]+,[0-9]{3}\z') AS n_time_thousands,
    count_if(is_number(time) AND contains(time, '.')) AS n_time_points,
    count_if(is_short(time)) AS n_times_short,
    min(if(is_short(time), time, NULL)) AS short_time,
    count_if(is_number(number)) AS n_time_numbers,
    min(if(is_number(number), abs(cast(number AS DOUBLE)), NULL)) AS least_time,
    max(if(is_number(number), abs(cast(number AS DOUBLE)), NULL)) AS greatest_time,
    count_if(is_number(number) AND abs(cast(number AS DOUBLE)) >= :least_ns) AS n_times_ns,
    count_if(is_number(number) AND abs(cast(number AS DOUBLE)) >= :least_us) AS n_times_us,
    count_if(is_number(number) AND abs(cast(number AS DOUBLE)) >= :least_ms) AS n_times_ms
FROM numbers
