"""Errors of reading files, in words for users."""

from __future__ import annotations

import errno
import json
import os

import pytest

from engine.unusable import UNREADABLE, UnusableError, describe


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is not JSON, from line 1, column 1 on"),
        ('{"a": 1,\n 2}', "it is not JSON, from line 2, column 2 on"),
        (b"\xff", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ("{}", "“a” is missing"),
        ("[]", "a value in it makes no sense"),
        ('{"a": "one"}', "a value in it makes no sense"),
        ('{"a": null}', "a value in it makes no sense"),
        ('{"a": Infinity}', "a value in it makes no sense"),
    ],
)
def test_json_of_any_shape(text: str | bytes, reason: str) -> None:
    with pytest.raises(UNREADABLE) as caught:
        int(json.loads(text)["a"])
    assert describe(caught.value) == reason


def test_what_the_system_and_we_ourselves_say() -> None:
    assert describe(OSError(errno.ENOENT, os.strerror(errno.ENOENT), "a.json")) == os.strerror(errno.ENOENT)
    assert describe(OSError("no such thing")) == "no such thing"
    assert describe(UnusableError("it has 0 dimensions")) == "it has 0 dimensions"
