-- Tab-separated values under a header.
SELECT * FROM read_csv($file, header = true, all_varchar = true, delim = '\t', quote = '"', escape = '"')
