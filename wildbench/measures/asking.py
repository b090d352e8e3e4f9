"""Asking the detector's process for something other than detections; what it answers is checked like any input."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

from wildbench.errors import WrongOutput, first_problem

if TYPE_CHECKING:
    from wildbench.submissions.sandbox import Sandbox

Reply = TypeVar("Reply", bound=BaseModel)


def ask(box: Sandbox, function: str, reply: type[Reply], image: npt.NDArray[np.uint8] | None = None) -> Reply:
    """Run a function of `wildbench.measures` in the child, as `function(opened, image)`.

    Args:
        box: The open submission.
        function: "module:function".
        reply: What it has to answer with.
        image: uint8, H x W x 3, RGB, or None.

    Raises:
        DetectorError: The process failed, or answered with something else.
    """
    answer = box.call(f"wildbench.measures.{function}", image)
    try:
        return reply.model_validate(answer)
    except ValidationError as error:
        said = f"its process told no {reply.__name__} ({first_problem(error)})"
        raise WrongOutput(f"{box.path.name}: {said}") from None
