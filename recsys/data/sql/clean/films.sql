-- Films with a clean rating; codes are ranks of the raw ids, whole numbers in their own order and before other text.
-- A film that the metadata does not know has an id, no more. Columns of the source's own stay text.
WITH described AS (
    -- of several rows about one film the last counts
    SELECT * FROM raw_films QUALIFY row_number() OVER (PARTITION BY movie_id ORDER BY rowid DESC) = 1
), linked AS (
    SELECT * FROM raw_links QUALIFY row_number() OVER (PARTITION BY movie_id ORDER BY rowid DESC) = 1
), tagged AS (
    -- tags of most users first; upper and lower case are the same
    SELECT movie_id, list(tag ORDER BY n_users DESC, tag) AS tags
    FROM (
        SELECT movie_id, lower(tag) AS tag, count(DISTINCT user_id) AS n_users
        FROM raw_tags WHERE tag IS NOT NULL GROUP BY ALL)
    GROUP BY movie_id
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
    elements(genres) AS genres,
    coalesce(tagged.tags, elements(titled.tags)) AS tags,
    elements(keywords) AS keywords,
    people(directors) AS directors,
    people(actors) AS actors,
    people(writers) AS writers,
    told(certificate) AS certificate,
    told(plot) AS plot,
    day(release_date) AS release_date,
    minutes(runtime) AS runtime,
    titled.* EXCLUDE (movie_id, title, year, genres, tags, keywords, directors, actors, writers, certificate, plot,
        release_date, runtime, article_words),
    linked.imdb_id,
    try_cast(linked.tmdb_id AS INTEGER) AS tmdb_id
FROM (SELECT DISTINCT movie_id FROM ratings) AS rated
LEFT JOIN titled ON titled.movie_id = rated.movie_id
LEFT JOIN linked ON linked.movie_id = rated.movie_id
LEFT JOIN tagged ON tagged.movie_id = rated.movie_id
ORDER BY item
