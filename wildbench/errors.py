"""Every error wildbench raises on purpose, on one page.

A user's mistake is one line and exit code 2: what is wrong, where, what to do about it. Anything else is a bug and
keeps its traceback.

    WildbenchError
    ├── DatasetError               a data set that cannot be found, read or trusted
    ├── PredictionsError           a results file that cannot be scored
    ├── SubmissionError            a submission file that cannot be read or must not be opened
    │   ├── UntrustedSubmission    opening it may run code, and nobody said --trust
    │   └── DetectorError          the detector was opened but did not behave
    │       ├── DetectorCrashed    its process ended or raised
    │       ├── DetectorTimedOut   it did not answer in time
    │       ├── DetectorOutOfMemory
    │       └── WrongOutput        it answered with something that is no detection
    ├── ScorecardError             a record that cannot be read (a newer format, say)
    ├── RecipeError                a recipe that cannot be run
    ├── CurationError              FiftyOne is missing, or does not run
    ├── DownloadError              something has to be fetched, and there is no network
    └── OutputError                a file cannot be written where it was asked for
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wildbench.text import printable

if TYPE_CHECKING:
    from pydantic import ValidationError


class WildbenchError(Exception):
    """Base of every error a user can cause; prints as one line.

    Args:
        what: What is wrong, and where (a path, a key, an id).
        remedy: What to do about it.

    Example:
        >>> str(WildbenchError("cards/a.json: not JSON", remedy="evaluate the submission again"))
        'cards/a.json: not JSON; evaluate the submission again'
    """

    def __init__(self, what: str, *, remedy: str = "") -> None:
        self.what = printable(" ".join(what.split()))
        self.remedy = printable(" ".join(remedy.split()))
        super().__init__(f"{self.what}; {self.remedy}" if remedy else self.what)


class DatasetError(WildbenchError):
    """A data set cannot be found, read or trusted."""


class PredictionsError(WildbenchError):
    """A results file cannot be scored against this data set."""


class SubmissionError(WildbenchError):
    """A submission file cannot be read, or must not be opened."""


class UntrustedSubmission(SubmissionError):
    """Opening this format may run code that is in the file, and nobody said it is trusted."""


class DetectorError(SubmissionError):
    """The detector was opened but did not behave."""


class DetectorCrashed(DetectorError):
    """The detector's process ended, or it raised."""


class DetectorTimedOut(DetectorError):
    """The detector did not answer in time."""


class DetectorOutOfMemory(DetectorError):
    """The detector asked for more memory than it may have."""


class WrongOutput(DetectorError):
    """The detector answered with something that is no detection."""


class ScorecardError(WildbenchError):
    """A scorecard cannot be read: damaged, or of a newer format."""


class RecipeError(WildbenchError):
    """A training recipe cannot be run."""


class CurationError(WildbenchError):
    """Labels cannot be looked at: FiftyOne is missing, or does not run."""


class DownloadError(WildbenchError):
    """Something has to be fetched, and the network does not give it."""


class OutputError(WildbenchError):
    """A file cannot be written where it was asked for."""


def first_problem(error: ValidationError) -> str:
    """The first thing that pydantic found, as `key.path: message`.

    Example:
        >>> from pydantic import BaseModel, ValidationError
        >>> try:
        ...     _ = type("Card", (BaseModel,), {"__annotations__": {"n": int}}).model_validate({"n": "many"})
        ... except ValidationError as error:
        ...     first_problem(error)
        'n: Input should be a valid integer, unable to parse string as an integer'
    """
    first = error.errors(include_url=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    message = first["msg"].removeprefix("Value error, ")
    return f"{place}: {message}" if place else message
