-- users.dat of ml-1m: an age is the first year of its bracket (1 is under 18), an occupation is a number, named by the
-- release's README.
SELECT user_id, age, gender, zip_code,
    ['other', 'academic/educator', 'artist', 'clerical/admin', 'college/grad student', 'customer service',
     'doctor/health care', 'executive/managerial', 'farmer', 'homemaker', 'K-12 student', 'lawyer', 'programmer',
     'retired', 'sales/marketing', 'scientist', 'self-employed', 'technician/engineer', 'tradesman/craftsman',
     'unemployed', 'writer'][try_cast(occupation AS INTEGER) + 1] AS occupation
FROM read_csv($file, header = false, auto_detect = false, delim = '::', quote = '', escape = '',
    columns = {'user_id': 'VARCHAR', 'gender': 'VARCHAR', 'age': 'VARCHAR', 'occupation': 'VARCHAR',
        'zip_code': 'VARCHAR'})
