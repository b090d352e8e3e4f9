"""What can be said of any file: as `inspect_submission`, but also where nobody has written a manifest yet."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wildbench.errors import DetectorError, OutputError, SubmissionError
from wildbench.files import write_atomically
from wildbench.resources import bundled
from wildbench.submissions.admission import Admitted
from wildbench.submissions.inspection import Inspection, inspect_submission
from wildbench.submissions.manifest import manifest_path
from wildbench.submissions.process import Sandbox, ask
from wildbench.submissions.survey._draft import Draft, draft_manifest, misread_form
from wildbench.submissions.survey._probe import Probe

PICTURE = "annotations/parksim/probe.jpg"
"""What a network is shown: a rendered picture with five animals."""


@dataclass(frozen=True)
class Survey:
    """What is known of a file.

    Attributes:
        admitted: With its manifest; where there is none, with one made up so that it can be opened.
        inspection: What is in it.
        draft: The nearest manifest, where there is none.
        probe: What it answers to two pictures; None where it was not run.
        reason: Why it was not run.
    """

    admitted: Admitted
    inspection: Inspection
    draft: Draft | None = None
    probe: Probe | None = None
    reason: str = ""

    @property
    def origin(self) -> str:
        """Where the manifest is from, in one line."""
        if self.draft is None:
            return self.admitted.origin.removeprefix("manifest: ")
        return f"none; the nearest one, {self.draft.where or 'of which nothing is known'}"

    @property
    def notes(self) -> list[str]:
        """What contradicts the manifest, in the file and in its answers."""
        notes = list(self.admitted.notes)
        form = misread_form(self.admitted.manifest, self.probe) if self.draft is None and self.probe else None
        if form:
            notes.append(f"warning box-form: {form}")
        return notes

    def write_manifest(self) -> Path:
        """Write the manifest, or the nearest one with its gaps marked, beside the file.

        Raises:
            OutputError: `exists`: there is one already.
        """
        path = manifest_path(self.admitted.path)
        if path.exists():
            raise OutputError(f"{path}: there is one already", code="exists", remedy="remove it first, or edit it")
        text = (self.draft or self.admitted.manifest).to_json()
        write_atomically(path, text.encode())
        return path


def survey(path: Path | str, *, manifest: Path | None = None, adapter: Path | None = None, run: bool = True) -> Survey:
    """Tell what can be said of a file, with or without a manifest.

    Args:
        path: The file, or the folder or zip it is in.
        manifest: In place of one beside or inside it.
        adapter: A file of Python that opens it, as for `admit`.
        run: Whether to run it at all.

    Raises:
        SubmissionError: Its format is not known or not taken, it is damaged, or its manifest is wrong.

    Example:
        >>> survey("model.onnx").probe.outputs[0].form  # doctest: +SKIP
        'cxcywh'
    """
    with Sandbox(path, manifest=manifest, adapter=adapter, provisional=True, opens=False) as box:
        admitted, reading = box.admitted, box.reading
        inspection = inspect_submission(admitted)
        probe, reason = _probe(box, run)
    if reading is None:
        return Survey(admitted, inspection, None, probe, reason)
    name = PurePosixPath(admitted.source.main).stem
    draft = draft_manifest(*reading, name, admitted.signature, probe or Probe())
    return Survey(admitted, inspection, draft, probe, reason)


def _probe(box: Sandbox, run: bool) -> tuple[Probe | None, str]:
    """What it answers to two pictures, or why it was not asked."""
    admitted = box.admitted
    if not run:
        return None, "not wanted"
    if not admitted.format.suffix:
        return None, "its adapter answers with finished detections"
    if admitted.signature is None and not admitted.format.runs_code:
        return None, "its format says what it answers"
    from wildbench.datasets.images import decode

    try:
        return ask(box, "wildbench.submissions.survey:probe", Probe, decode(bundled(PICTURE))), ""
    except (DetectorError, SubmissionError) as error:
        return None, str(error)
