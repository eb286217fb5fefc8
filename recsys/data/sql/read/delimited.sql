-- Fields parted by what the user says, under a header or under names that the user gives.
SELECT * FROM read_csv($file, header = $header, names = $names, all_varchar = true, delim = $delimiter, quote = $quote,
    escape = $quote)
