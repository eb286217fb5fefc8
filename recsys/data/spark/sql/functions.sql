-- What the SELECTs share.

-- text without invisible characters around it (byte order marks, tabs)
CREATE OR REPLACE TEMPORARY FUNCTION visible(text STRING) RETURNS STRING
    RETURN nullif(regexp_replace(text, r'^[\p{Cc}\p{Cf}\p{Z}]+|[\p{Cc}\p{Cf}\p{Z}]+\z', ''), '');

-- the opening quotation mark of an id, if marks enclose it (="7", "7", '7', “7”)
CREATE OR REPLACE TEMPORARY FUNCTION mark_of(text STRING) RETURNS STRING
    RETURN nullif(regexp_extract(text, r'^(="|"|\x27|\x{201c})(.+)("|\x27|\x{201d})\z', 1), '');

-- the id inside such marks
CREATE OR REPLACE TEMPORARY FUNCTION without_marks(text STRING) RETURNS STRING
    RETURN regexp_extract(text, r'^(="|"|\x27|\x{201c})(.+)("|\x27|\x{201d})\z', 2);

-- whether text is a number (Spark itself also takes 5d and 5f for numbers)
CREATE OR REPLACE TEMPORARY FUNCTION is_number(text STRING) RETURNS BOOLEAN
    RETURN text RLIKE r'^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?\z';

-- whether text is a number in short scientific notation, such as 1.1E+12, as spreadsheets write it
CREATE OR REPLACE TEMPORARY FUNCTION is_short(text STRING) RETURNS BOOLEAN
    RETURN length(text) < 12 AND contains(text, 'E+') AND is_number(text);

-- whether text is digits with one comma among them, which may be a decimal mark
CREATE OR REPLACE TEMPORARY FUNCTION has_comma(text STRING) RETURNS BOOLEAN RETURN text RLIKE r'^-?[0-9]*,[0-9]+\z';

-- seconds UTC of an ISO date, with or without a time and an offset (Spark itself also takes 2020 and 12:30)
CREATE OR REPLACE TEMPORARY FUNCTION seconds_of_date(text STRING) RETURNS DOUBLE
    RETURN CASE WHEN text RLIKE
        r'^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)? ?(Z|[+-][0-9]{2}(:[0-9]{2})?)?)?\z'
        THEN unix_micros(try_cast(text AS TIMESTAMP)) / 1e6 END
