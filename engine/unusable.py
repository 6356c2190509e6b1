"""Files whose content cannot be used: why, in words for users and none of Python's."""

from __future__ import annotations

import json
import re

import msgspec

UNREADABLE = (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, msgspec.MsgspecError)
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
        case msgspec.ValidationError():
            return _in_words(str(error))
        case msgspec.DecodeError():
            return "it is not JSON"
        case KeyError():
            return f"“{error.args[0]}” is missing"
        case json.JSONDecodeError():
            return f"it is not JSON, from line {error.lineno}, column {error.colno} on"
        case UnicodeDecodeError() | RecursionError():
            return "it is not JSON"
        case _:
            return "a value in it makes no sense"


def _in_words(said: str) -> str:
    """What msgspec says of a value, with the place of the value as people write it."""
    reason, _, place = said.partition(" - at `")
    field = re.sub(r"\[\.\.\.\]|\$\.?", "", place.rstrip("`")) or "it"
    if missing := re.search(r"missing required field `(\w+)`", reason):
        inside = "" if field == "it" else f" in “{field}”"
        return f"“{missing[1]}” is missing{inside}"
    if unknown := re.search(r"unknown field `(\w+)`", reason):
        return f"“{unknown[1]}” is unknown"
    return f"the value of “{field}” makes no sense"
