"""Builds SQL calls of DuckDB's table functions that read files in a known layout.

The calls state every option that DuckDB could otherwise detect wrongly.
"""

from __future__ import annotations

from recsys.data.quoting import literal

LINE = ("line", "\x01")  # column and delimiter of text that is not split: it does not contain this control character


def delimited(
    names: str, delimiter: str = ",", options: str = "", *, file: str = "$file", quote: str = "", header: bool = False
) -> str:
    """Return a call of `read_csv`, as SQL, that reads all columns of delimited text as text.

    Args:
        names: names of the columns, separated by spaces.
        delimiter: separator between the fields.
        options: further options of `read_csv`.
        file: the SQL parameter that stands for the file or the files.
        quote: quotation mark around fields that contain the delimiter, or "" if fields are never quoted.
        header: whether the first row is a header, which is skipped.
    """
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names.split())
    stated = f"auto_detect = false, header = {header}, delim = {literal(delimiter)}, columns = {{{columns}}}"
    stated += f", quote = {literal(quote)}, escape = {literal(quote)}"
    return f"read_csv({', '.join(filter(None, [file, stated, options]))})"


def headed() -> str:
    """Return a call of `read_csv`, as SQL, that reads CSV with the columns that its header names, all as text."""
    return (
        """read_csv($file, header = true, all_varchar = true, delim = ',', quote = '"', escape = '"', comment = '')"""
    )


def json_lines(names: str, nested: str = "") -> str:
    """Return a call of `read_json`, as SQL, for a file with a JSON object per line.

    Args:
        names: names of the fields to read as text, separated by spaces.
        nested: names of the fields to read as JSON, separated by spaces.
    """
    types = dict.fromkeys(names.split(), "VARCHAR") | dict.fromkeys(nested.split(), "JSON")
    columns = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in types.items())
    return f"read_json($file, format = 'newline_delimited', columns = {{{columns}}})"
