-- Films with a clean rating; codes are ranks of the raw ids, whole numbers in their own order and before other text.
-- A film that the metadata does not know has no title, no year and no genres.
WITH described AS (
    -- of several rows about one film the last counts
    SELECT * FROM raw_films QUALIFY row_number() OVER (PARTITION BY movie_id ORDER BY rowid DESC) = 1
), linked AS (
    SELECT * FROM raw_links QUALIFY row_number() OVER (PARTITION BY movie_id ORDER BY rowid DESC) = 1
), dated AS (
    -- "Matrix, The (1999)": the year in brackets leaves the title; "(2006-2007)" is a series, "(V)" a video
    SELECT * EXCLUDE (title, year),
        coalesce(
            try_cast(year AS SMALLINT),
            try_cast(regexp_extract(title, '\((\d{4})(?:[-–]\d{0,4})?\)(?: \(V\))?\s*$', 1) AS SMALLINT)) AS year,
        trim(regexp_replace(title, '\s*\(\d{4}(?:[-–]\d{0,4})?\)(?: \(V\))?\s*$', '')) AS title
    FROM described
), articles AS (
    SELECT 'The|A|An|Les|Le|La|L''|Los|Las|El|Il|Lo|I|Gli|O|Os|As|Der|Die|Das|Den|Det|De|Het|Ein|Eine|Een|En|Un|Une|Una'
        AS article_words
), titled AS (
    -- "Matrix, The" is "The Matrix", also before a subtitle and in and before another title in brackets:
    -- "City of Lost Children, The (Cité des enfants perdus, La)" is "The City of Lost Children (La Cité ...)"
    SELECT * EXCLUDE (title),
        replace(
            regexp_replace(
                regexp_replace(title, '^([^(]+), (' || article_words || ')((?::| \().*)?$', '\2 \1\3'),
                '\((a\.k\.a\. )?([^()]+), (' || article_words || ')\)', '(\1\3 \2)', 'g'),
            'L'' ', 'L''') AS title
    FROM dated, articles
)
SELECT
    cast(row_number() OVER (ORDER BY try_cast(rated.movie_id AS BIGINT) NULLS LAST, rated.movie_id) - 1 AS INTEGER) AS item,
    rated.movie_id,
    -- placeholders for "no title", among them film 267 of ml-100k, are no title
    if(year IS NULL AND title IN ('', 'unknown', 'unkonwn'), NULL, title) AS title,
    year,
    -- placeholders for "no genre" are no genre
    list_filter(
        list_transform(string_split(coalesce(genres, ''), '|'), lambda genre: trim(genre)),
        lambda genre: genre NOT IN ('', 'unknown', '(no genres listed)')) AS genres,
    titled.* EXCLUDE (movie_id, title, year, genres, article_words),
    linked.imdb_id,
    try_cast(linked.tmdb_id AS INTEGER) AS tmdb_id
FROM (SELECT DISTINCT movie_id FROM ratings) AS rated
LEFT JOIN titled ON titled.movie_id = rated.movie_id
LEFT JOIN linked ON linked.movie_id = rated.movie_id
ORDER BY item
