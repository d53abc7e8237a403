"""Text from elsewhere (names of files and classes, messages of libraries), shown and sorted."""

import re


def printable(text: object) -> str:
    """Return a text with its control characters escaped.

    A file's or a class's name could otherwise move the cursor, clear the screen or fake a line.
    """
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in str(text)
    )


def is_utf8(name: str) -> bool:
    """Tell whether a file's name is valid text; libraries in C++ crash where it is not."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def one_line(error: Exception) -> str:
    """Return the gist of a library's error, safe for a terminal: it may quote a hostile file."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    # OpenVINO ends with what happened, after the places in its source; the others begin with it.
    line = lines[-1] if lines[0].startswith("Exception from ") else lines[0]
    return printable(line[:300])


def natural_order(name: str) -> list[tuple[str, int]]:
    """Return a key that sorts 9.png before 10.png."""
    parts = re.findall(r"(\D*)(\d*)", name)
    return [(text, int(number or -1)) for text, number in parts]


# Excel takes a table for UTF-8 only if it begins with a mark.
TABLE_ENCODING = "utf-8-sig"
FORMULAS = ("=", "+", "-", "@")  # what a spreadsheet takes for the beginning of a formula


def spreadsheet_cell(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: after an apostrophe, if need be."""
    return f"'{text}" if text.lstrip("'").startswith(FORMULAS) else text


def cell_text(cell: str) -> str:
    """Return the text of a cell that `spreadsheet_cell` has made."""
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'").startswith(FORMULAS) else cell


def valid_text(name: str) -> str:
    """Return a file's name as text that can be encoded, which it need not be."""
    return name.encode(errors="backslashreplace").decode()
