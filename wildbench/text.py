"""Characters that a terminal shows, and those that steer it: they move its cursor, or turn the direction of a text."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""A text with an escape for each character that cannot be printed, ends of lines excepted.

    Example:
        >>> printable("lion\x1b[31m \u202eoil")
        'lion\\x1b[31m \\u202eoil'
    """
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() or mark == "\n" else _escape(mark) for mark in text)


def _escape(mark: str) -> str:
    return mark.encode("unicode_escape").decode("ascii")


def counted(count: int, what: str) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "box"), counted(1300, "box"), counted(0, "finding")
        ('1 box', '1,300 boxes', '0 findings')
    """
    return f"{count:,} {what}{'' if count == 1 else 'es' if what.endswith('x') else 's'}"
