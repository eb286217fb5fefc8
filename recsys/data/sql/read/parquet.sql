-- Parquet, whose columns have types; they become text like everybody else's and are read again while cleaning.
SELECT * FROM read_parquet($file)
