"""Characters that a terminal shows, and those that steer it: they move its cursor, or turn the direction of a text."""

from __future__ import annotations

import re
import unicodedata


def printable(text: str) -> str:
    r"""Escape each character of a text that cannot be printed, except line ends.

    Example:
        >>> printable("lion\x1b[31m \u202eoil")
        'lion\\x1b[31m \\u202eoil'
    """
    if text.isprintable():
        return text
    escaped = ((mark, mark.encode("unicode_escape").decode("ascii")) for mark in text)
    return "".join(mark if mark.isprintable() or mark == "\n" else escape for mark, escape in escaped)


def counted(count: int, what: str) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "box"), counted(1300, "box"), counted(0, "finding")
        ('1 box', '1,300 boxes', '0 findings')
    """
    return f"{count:,} {what}{'' if count == 1 else 'es' if what.endswith('x') else 's'}"


_UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
"""Unicode's default-ignorable characters, and the blank of Braille: nobody sees them."""


def plain(text: str, most: int) -> str:
    r"""A text without characters that cannot be seen or printed, each blank or line end a space, and cut to `most`.

    Example:
        >>> plain("two\nlines\u00a0of\u200c \x1b[31mtext", 80), plain("lion", 3)
        ('two lines of [31mtext', 'li…')
    """
    if not text.isprintable() or _UNSEEN.search(text) or "  " in text or text != text.strip():
        seen = _UNSEEN.sub("", text)
        text = " ".join("".join(mark for mark in seen if mark.isprintable() or mark.isspace()).split())
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


MOST_NAME, MOST_MARKS = 80, 4
"""Characters of a detector's name, and how many accents one of them may carry."""


def named(given: object) -> object:
    r"""A detector's name as a record keeps it: plain, in Unicode's NFKC; anything but a text stays as it is.

    Example:
        >>> named("\uff52eference\u200b"), named("\u0301\n")
        ('reference', 'unnamed')
    """
    if not isinstance(given, str):
        return given
    kept: list[str] = []
    for mark in unicodedata.normalize("NFKC", plain(given, 4 * MOST_NAME)):
        last = kept[-MOST_MARKS:]
        if not (unicodedata.combining(mark) and len(last) == MOST_MARKS and all(map(unicodedata.combining, last))):
            kept.append(mark)
    name = plain("".join(kept), 4 * MOST_NAME)[:MOST_NAME].rstrip()
    return name if any(mark.isalnum() for mark in name) else "unnamed"
