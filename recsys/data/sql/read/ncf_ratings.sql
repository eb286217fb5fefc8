-- NAME.train.rating or NAME.test.rating of the NCF release. Times of pinterest-20 are placeholders, so missing.
SELECT user_id, movie_id, rating, if(try_cast(time AS DOUBLE) < 100000, NULL, time) AS time,
    string_split($file, '.')[-2] AS part
FROM read_csv($file, header = false, auto_detect = false, delim = '\t', quote = '', escape = '',
    columns = {'user_id': 'VARCHAR', 'movie_id': 'VARCHAR', 'rating': 'VARCHAR', 'time': 'VARCHAR'})
