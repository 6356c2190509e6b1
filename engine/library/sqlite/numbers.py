"""Lists of numbers for SQL."""

from __future__ import annotations

import json
from collections.abc import Iterable


def as_json(numbers: Iterable[int]) -> str:
    """A list for ``json_each``, which sets no limit to its length."""
    return json.dumps(list(numbers))
