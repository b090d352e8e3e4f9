"""Characters that a terminal shows, and those that steer it: they move its cursor, or turn the direction of a text."""

from __future__ import annotations


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
