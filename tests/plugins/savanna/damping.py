"""A compression method: every weight is multiplied by a number below one, which compresses nothing."""

from pydantic import Field

from wildbench.compression.subject import Method, Settings, Subject, Workshop


class Damp(Settings):
    factor: float = Field(default=0.5, ge=0, le=1, description="Of every weight.")


def damp(subject: Subject, settings: Damp, workshop: Workshop) -> None:
    for parameter in subject.model.parameters():
        parameter.data.mul_(settings.factor)
    subject.history.append(f"damped by {settings.factor:g}")


DAMP = Method(Damp, damp, summary="every weight is damped", source="made up", family="damping")
