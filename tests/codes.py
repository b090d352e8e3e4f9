"""Errors told apart by their codes, not by their words."""

from collections.abc import Callable

from wildbench.errors import WildbenchError


def coded(*codes: str, text: str = "") -> Callable[[BaseException], bool]:
    """A check for `pytest.raises`: one of these codes, a single line, and perhaps a value in it.

    Example:
        >>> coded("error/a")(WildbenchError("x", code="a"))
        True
    """

    def check(error: BaseException) -> bool:
        return isinstance(error, WildbenchError) and error.code in codes and text in str(error)

    return check
