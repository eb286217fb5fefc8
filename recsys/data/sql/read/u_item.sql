-- u.item of ml-100k: a column of 0 or 1 for each of 19 genres, in the order of u.genre.
SELECT movie_id, title,
    concat_ws('|',
        if(g1 = '1', 'Action', NULL), if(g2 = '1', 'Adventure', NULL), if(g3 = '1', 'Animation', NULL),
        if(g4 = '1', 'Children''s', NULL), if(g5 = '1', 'Comedy', NULL), if(g6 = '1', 'Crime', NULL),
        if(g7 = '1', 'Documentary', NULL), if(g8 = '1', 'Drama', NULL), if(g9 = '1', 'Fantasy', NULL),
        if(g10 = '1', 'Film-Noir', NULL), if(g11 = '1', 'Horror', NULL), if(g12 = '1', 'Musical', NULL),
        if(g13 = '1', 'Mystery', NULL), if(g14 = '1', 'Romance', NULL), if(g15 = '1', 'Sci-Fi', NULL),
        if(g16 = '1', 'Thriller', NULL), if(g17 = '1', 'War', NULL), if(g18 = '1', 'Western', NULL)) AS genres
FROM read_csv($file, header = false, auto_detect = false, delim = '|', quote = '', escape = '', encoding = $encoding,
    columns = {'movie_id': 'VARCHAR', 'title': 'VARCHAR', 'released': 'VARCHAR', 'on_video': 'VARCHAR',
        'url': 'VARCHAR', 'unknown': 'VARCHAR', 'g1': 'VARCHAR', 'g2': 'VARCHAR', 'g3': 'VARCHAR', 'g4': 'VARCHAR',
        'g5': 'VARCHAR', 'g6': 'VARCHAR', 'g7': 'VARCHAR', 'g8': 'VARCHAR', 'g9': 'VARCHAR', 'g10': 'VARCHAR',
        'g11': 'VARCHAR', 'g12': 'VARCHAR', 'g13': 'VARCHAR', 'g14': 'VARCHAR', 'g15': 'VARCHAR', 'g16': 'VARCHAR',
        'g17': 'VARCHAR', 'g18': 'VARCHAR'})
