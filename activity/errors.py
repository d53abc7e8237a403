"""What a user can fix, said in one line."""

import sys

from activity.text import printable


class UserError(Exception):
    """Something the user can fix; the message names the value and the remedy.

    `about` is the value that the message begins with, a file or a setting. The scripts know which
    option it came from, and put the option in front.
    """

    def __init__(self, message: object, about: object = None) -> None:
        super().__init__(message)
        self.about = about


def cannot_be_read(path: object, error: OSError, about: object = None) -> UserError:
    """Make the error for a file that the file system does not give."""
    return UserError(
        f"{path} cannot be read ({error.strerror}); name one that can be", about or path
    )


def print_error(kind: str, message: object) -> None:
    """Print a message in one line on stderr; `kind` is 'error', 'warning' or 'note'."""
    print(f"{kind}: {printable(message)}", file=sys.stderr)
