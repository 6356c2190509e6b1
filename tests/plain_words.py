"""Whether an error is told in words for users."""

from __future__ import annotations

import re

PYTHON = re.compile(
    r"\w(Error|Exception)\b|Errno|NoneType|\bint\(|' object|__init__|state_dict|torch\.|\\n|\n|\[\]|\['"
    r"|\b(indices|literal|codec|unpack|str|dict|tuple)\b"
)


def assert_plain(error: object) -> None:
    """Fail where a message shows Python's names, types or line breaks."""
    found = PYTHON.search(str(error))
    assert found is None, f"{found} in {error}"
