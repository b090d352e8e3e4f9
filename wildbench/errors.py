"""Every error wildbench raises on purpose, on one page.

A user's mistake is one line and exit code 2: what is wrong, where, what to do about it. Anything else is a bug and
keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from wildbench.text import printable

if TYPE_CHECKING:
    from pydantic import ValidationError


class WildbenchError(Exception):
    """Base of every error a user can cause; prints as one line.

    Args:
        what: What is wrong, and where (a path, a key, an id).
        remedy: What to do about it.
        code: Stable name of the mistake, such as `no-such-split`. Programs and tests tell errors apart by it; the words
            may change.

    Attributes:
        code: The class's area and the mistake, such as `dataset/no-such-split`.

    Example:
        >>> error = WildbenchError("cards/a.json: not JSON", code="not-json", remedy="evaluate the submission again")
        >>> str(error), error.code
        ('cards/a.json: not JSON; evaluate the submission again', 'error/not-json')
    """

    area: ClassVar[str] = "error"

    def __init_subclass__(cls, area: str = "") -> None:
        cls.area = area or cls.area

    def __init__(self, what: str, *, code: str, remedy: str = "") -> None:
        self.what = printable(" ".join(what.split()))
        self.remedy = printable(" ".join(remedy.split()))
        self.code = f"{self.area}/{code}"
        super().__init__(f"{self.what}; {self.remedy}" if remedy else self.what)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.what, self.code.partition("/")[2], self.remedy)

    def line(self) -> str:
        """The error as the command line prints it, with its code at the end."""
        return f"wildbench: {self} [{self.code}]"


def _again(kind: type[WildbenchError], what: str, code: str, remedy: str) -> WildbenchError:
    """An error as it was, in the process that it is sent to."""
    return kind(what, code=code, remedy=remedy)


class DatasetError(WildbenchError, area="dataset"):
    """A data set cannot be found, read or trusted."""


class PredictionsError(WildbenchError, area="predictions"):
    """A results file cannot be scored against this data set."""


class SubmissionError(WildbenchError, area="submission"):
    """A submission file cannot be read, or must not be opened."""


class UnjailedSubmission(SubmissionError):
    """Not all walls around a detector's process stand on this machine, and they were asked for."""


class DetectorError(SubmissionError, area="detector"):
    """The detector was opened but did not behave."""


class DetectorCrashed(DetectorError):
    """The detector's process ended, or it raised."""


class DetectorTimedOut(DetectorError):
    """The detector did not answer in time."""


class DetectorOutOfMemory(DetectorError):
    """The detector asked for more memory than it may have."""


class WrongOutput(DetectorError):
    """The detector answered with something other than detections."""


class JobError(WildbenchError, area="job"):
    """Parts of a divided run are damaged, missing, or of different runs."""


class ScorecardError(WildbenchError, area="scorecard"):
    """A scorecard cannot be read: damaged, or of a newer format."""


class RecipeError(WildbenchError, area="recipe"):
    """A training recipe cannot be run."""


class CurationError(WildbenchError, area="curation"):
    """Labels cannot be looked at: FiftyOne is missing, or does not run."""


class DownloadError(WildbenchError, area="download"):
    """Something has to be fetched, and the network does not give it."""


class OutputError(WildbenchError, area="output"):
    """A file cannot be written where it was asked for."""


class PluginError(WildbenchError, area="plugin"):
    """A format, detector, method, data set or measure is not registered, or is registered twice."""


class MissingExtra(WildbenchError, area="missing-extra"):
    """A package that only some commands need is not installed."""


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Import the packages of an optional extra; where one is missing, say what to type.

    Raises:
        MissingExtra: A package imported inside the block is not installed.

    Example:
        >>> with needs("onnx"):
        ...     import no_such_package
        Traceback (most recent call last):
        ...
        wildbench.errors.MissingExtra: no_such_package is not installed; run: pip install "wildbench[onnx]"
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "wildbench":
            raise
        raise MissingExtra(
            f"{package} is not installed", code=extra, remedy=f'run: pip install "wildbench[{extra}]"'
        ) from None


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
