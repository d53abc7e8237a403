"""What a user can fix, said in one line."""

import sys

from activity.text import printable


class UserError(Exception):
    """Something the user can fix; the message, one line, names the value and the remedy."""


class SourceError(UserError):
    """A video or picture that cannot be read; other ones may be."""


def cannot_be_read(path: object, error: OSError, kind: type[UserError] = UserError) -> UserError:
    """Return the error for a file that the file system does not give."""
    return kind(f"{path} cannot be read ({error.strerror}); name one that can be")


def print_error(kind: str, message: object) -> None:
    """Print a message in one line on stderr; `kind` is 'error', 'warning' or 'note'."""
    print(f"{kind}: {printable(message)}", file=sys.stderr)
