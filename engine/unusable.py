"""Files whose content cannot be used: why, in words for users and none of Python's."""

from __future__ import annotations

import json

UNREADABLE = (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError)
"""What reading JSON of any shape can end in."""


class UnusableError(ValueError):
    """A value makes no sense; the text says why in words for users."""


def describe(error: Exception) -> str:
    """What an error of reading a file means, without a full stop."""
    match error:
        case UnusableError():
            return str(error)
        case OSError():
            return error.strerror or str(error)
        case KeyError():
            return f"“{error.args[0]}” is missing"
        case json.JSONDecodeError():
            return f"it is not JSON, from line {error.lineno}, column {error.colno} on"
        case UnicodeDecodeError() | RecursionError():
            return "it is not JSON"
        case _:
            return "a value in it makes no sense"
