-- Which description tells of which film: that of its id, else that of its TMDB id; only where one of the two has no such
-- ids, that of its title from its year or the one before or after. Nearest years come first, then later rows.
WITH named AS (
    SELECT item, movie_id, tmdb_id, year, unnest(list_distinct(title_keys(title))) AS key FROM films
), describing AS (
    SELECT source_row, movie_id, tmdb_id, year, unnest(list_distinct(keys)) AS key FROM described
), pairs AS (
    SELECT item, source_row, 0 AS distance FROM films JOIN described USING (movie_id)
    UNION ALL
    SELECT item, source_row, 0 FROM films JOIN described USING (tmdb_id) WHERE described.movie_id IS NULL
    UNION ALL
    SELECT item, source_row, coalesce(abs(named.year - describing.year), 2)
    FROM named JOIN describing USING (key)
    WHERE describing.movie_id IS NULL AND (named.tmdb_id IS NULL OR describing.tmdb_id IS NULL)
        AND coalesce(abs(named.year - describing.year), 0) <= 1
)
SELECT item, source_row FROM pairs
QUALIFY row_number() OVER (PARTITION BY item ORDER BY distance, source_row DESC) = 1
