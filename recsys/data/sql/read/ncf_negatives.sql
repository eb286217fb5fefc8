-- NAME.test.negative of the NCF release: `(user,film)`, then the films that the user's test film is ranked among.
WITH lines AS (
    SELECT unnest(string_split(rtrim(content, chr(10)), chr(10))) AS line FROM read_text($file)
), fields AS (
    SELECT string_split(rtrim(line, chr(13)), chr(9)) AS fields FROM lines
)
SELECT
    if(regexp_matches(fields[1], '^\(\d+,\d+\)$'), regexp_extract(fields[1], '\d+'),
        error($file || ' has a line that does not begin with (user,film): ' || fields[1])) AS user_id,
    fields[2:] AS movie_ids
FROM fields
