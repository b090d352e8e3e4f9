"""What was checked of an evaluation itself, with the evidence."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from wildbench.scorecard._figure import Figure, Record


class Audit(Record):
    """One check that the figures are what they seem: the record keeps what was measured, also where it passed.

    Example:
        >>> exact = Figure(value=0.99, unit="1", n=327)
        >>> Audit(name="too-good", passed=False, measured=exact, bound=0.2, explanation="boxes are copies").failed
        True
    """

    name: str = Field(pattern="^[a-z-]+$", max_length=40)
    passed: bool | None = Field(
        description="null where it could not be done, or tells nothing: the explanation says why."
    )
    measured: Figure | None = Field(default=None, description="What is judged; null where nothing was measured.")
    bound: float | None = Field(default=None, description="It passes up to here, in the unit of what was measured.")
    evidence: dict[str, Figure] = Field(default_factory=dict, description="What it was made of, and its time.")
    seed: int | None = Field(default=None, ge=0, description="What was drawn for it; --audit-seed repeats it.")
    explanation: str = Field(max_length=300, description="One sentence.")

    @property
    def failed(self) -> bool:
        """Whether it was done and not passed."""
        return self.passed is False

    @model_validator(mode="after")
    def _verdict_is_that_of_the_figures(self) -> Self:
        value = None if self.measured is None else self.measured.value
        judged = value is not None and self.bound is not None and self.passed is not None
        if judged and self.passed != (value <= self.bound):  # type: ignore[operator]
            raise ValueError(f"audit {self.name}: passed contradicts its figure and bound")
        return self
