-- ratings.dat of ml-1m and ml-10m.
SELECT user_id, movie_id, rating, time
FROM read_csv($file, header = false, auto_detect = false, delim = '::', quote = '', escape = '',
    columns = {'user_id': 'VARCHAR', 'movie_id': 'VARCHAR', 'rating': 'VARCHAR', 'time': 'VARCHAR'})
