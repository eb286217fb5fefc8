"""Sources of SELECTs that read files in a known layout, with every option stated that could be detected wrongly."""

from __future__ import annotations

from recsys.data.quoting import literal

LINE = ("line", "\x01")  # names and delimiter of text that is not divided: a control character that it does not contain


def delimited(
    names: str, delimiter: str = ",", options: str = "", *, file: str = "$file", quote: str = "", header: bool = False
) -> str:
    """Write the source of delimited text.

    Args:
        names: names of the columns, separated by spaces.
        delimiter: separator of the fields.
        options: further options of `read_csv`.
        file: the parameter with the file, or the files.
        quote: quotation mark of fields that contain the delimiter, or "" for none.
        header: whether the first row has names, which are ignored.
    """
    columns = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names.split())
    stated = f"auto_detect = false, header = {header}, delim = {literal(delimiter)}, columns = {{{columns}}}"
    stated += f", quote = {literal(quote)}, escape = {literal(quote)}"
    return f"read_csv({', '.join(filter(None, [file, stated, options]))})"


def headed() -> str:
    """Write the source of CSV whose header decides which columns it has."""
    return (
        """read_csv($file, header = true, all_varchar = true, delim = ',', quote = '"', escape = '"', comment = '')"""
    )


def json_lines(names: str, nested: str = "") -> str:
    """Write the source of some fields of JSON lines, as text and, where they are `nested`, as JSON."""
    types = dict.fromkeys(names.split(), "VARCHAR") | dict.fromkeys(nested.split(), "JSON")
    columns = ", ".join(f"{literal(name)}: {literal(type_)}" for name, type_ in types.items())
    return f"read_json($file, format = 'newline_delimited', columns = {{{columns}}})"
