-- What the SELECTs about films share. Lists come as text whose elements are parted by bars.

-- its elements, NULL for none; placeholders for "none" are none
CREATE OR REPLACE TEMP MACRO elements(text) AS nullif(
    list_filter(
        list_transform(string_split(text, '|'), lambda element: trim(element)),
        lambda element: element NOT IN ('', 'unknown', '(no genres listed)', 'N/A')),
    []);

-- each once, in their order
CREATE OR REPLACE TEMP MACRO once(list) AS list_filter(list, lambda element, place: list_position(list, element) = place);

-- names, without what somebody did: "Joss Whedon (screenplay by)"
CREATE OR REPLACE TEMP MACRO people(text) AS
    once(list_transform(elements(text), lambda name: trim(regexp_replace(name, '\s*\([^)]*\)', '', 'g'))));

-- text that says something
CREATE OR REPLACE TEMP MACRO told(text) AS if(text IN ('', 'N/A'), NULL, text);

-- "1995-11-22" or "22 Nov 1995"
CREATE OR REPLACE TEMP MACRO day(text) AS
    cast(coalesce(try_strptime(text, '%d %b %Y'), try_cast(text AS TIMESTAMP)) AS DATE);

-- "81" or "81 min"
CREATE OR REPLACE TEMP MACRO minutes(text) AS try_cast(regexp_extract(text, '\d+') AS SMALLINT);

-- a title and those in brackets after it, as they are compared: "The Seven (a.k.a. Se7en)" is "seven" and "se7en"
CREATE OR REPLACE TEMP MACRO title_keys(title) AS list_filter(
    list_transform(
        list_prepend(
            regexp_replace(title, '\s*\(.*\)', ''),
            regexp_extract_all(title, '\((?:a\.k\.a\. )?([^()]+)\)', 1)),
        lambda name: regexp_replace(
            regexp_replace(replace(strip_accents(lower(name)), '&', 'and'), '^(the|an|a) ', ''),
            '[^\p{L}\p{N}]', '', 'g')),
    lambda key: key <> '');
