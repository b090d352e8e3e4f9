"""Any other detector, opened by two functions of a person's own.

    CATEGORIES = ["zebra", "lion"]

    def load(path):
        ...  # once, in the detector's process; path is the file, or the folder

    def predict(image):
        ...  # uint8, H x W x 3, RGB
        return boxes, labels, scores  # n x 4 x1 y1 x2 y2 in pixels; names, or numbers from 1; 0 to 1

An adapter runs like a detector: in the child process, with a copy of the files in its temporary folder, and without
anything that lies beside it.
"""

from __future__ import annotations

import ast
import hashlib
import os
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from wildbench.errors import SubmissionError, WrongOutput
from wildbench.submissions.decode import Outputs
from wildbench.submissions.formats import Format, Inputs, Listing
from wildbench.submissions.manifest import Manifest, parse_manifest
from wildbench.submissions.source import Source

FUNCTIONS = ("load", "predict")
"""What an adapter defines."""

CATEGORIES = "CATEGORIES"
"""The list in an adapter that names its labels, where no manifest does."""

CONTRACTS = {
    "input": {"resize": "none", "layout": "hwc", "dtype": "uint8", "scale": "0-255"},
    "output": {"kind": "torchvision"},
}
"""What an adapter takes and answers, whatever its detector does."""

FORM = "answer with a tuple of boxes, labels and scores, or a dict with these keys"

DAMAGED = (OSError, ValueError, SyntaxError, RecursionError, MemoryError)
"""What reading and parsing a Python file raise."""


class Adapter(Format):
    """A format that one file of Python brings.

    Args:
        file: Its name.
        code: Its text.
    """

    name, suffix, title = "adapter", "", "a detector behind an adapter"

    def __init__(self, file: str, code: str) -> None:
        self.file, self.code = file, code

    @classmethod
    def read(cls, path: Path | str) -> Self:
        """Read one; nothing of it is parsed, and nothing runs.

        Raises:
            SubmissionError: There is no such file, or it is no text.
        """
        path = Path(path)
        try:
            return cls(path.name, path.read_bytes().decode())
        except DAMAGED as error:
            what = error.strerror if isinstance(error, OSError) else f"not valid Python ({error})"
            raise SubmissionError(f"{path}: {what}", code="adapter", remedy="check the adapter") from None

    @property
    def origin(self) -> str:
        """Which one it is, for records."""
        return f"adapter {self.file} (sha256 {hashlib.sha256(self.code.encode()).hexdigest()})"

    @property
    def categories(self) -> list[str] | None:
        """What it names its labels; None where it does not."""
        try:
            lines = ast.parse(self.code).body
        except DAMAGED as error:
            problem = f"{self.file}: not valid Python ({error})"
            raise SubmissionError(problem, code="adapter", remedy="check the adapter") from None
        for line in lines:
            targets = line.targets if isinstance(line, ast.Assign) else [getattr(line, "target", None)]
            if any(isinstance(target, ast.Name) and target.id == CATEGORIES for target in targets):
                try:
                    return list(ast.literal_eval(line.value))  # type: ignore[attr-defined]
                except (*DAMAGED, TypeError):
                    problem = f"{self.file}: {CATEGORIES} is not a list of names"
                    remedy = "write the names themselves: they are read without running the file"
                    raise SubmissionError(problem, code="adapter-categories", remedy=remedy) from None
        return None

    def stated(self, source: Source, document: Mapping[str, Any] | str | bytes | None, where: str) -> Manifest:
        """The manifest: its categories from a document, else from the adapter; input and output are the adapter's.

        Raises:
            SubmissionError: Neither names categories, or the document is wrong.
        """
        stem = PurePosixPath(source.path.name).stem
        draft: dict[str, Any] = {"name": stem, "detector": {"name": stem}, **CONTRACTS}
        categories = self.categories
        if categories is not None:
            draft["categories"] = categories
        elif document is None:
            problem = f"{self.file}: nothing says what its labels mean"
            remedy = f"write {CATEGORIES} = [...] into it, or give a manifest"
            raise SubmissionError(problem, code="adapter-categories", remedy=remedy)
        manifest = parse_manifest({} if document is None else document, where, draft)
        return parse_manifest(manifest.model_dump(mode="json") | CONTRACTS, where)

    def sniff(self, source: Source) -> bool:
        """Never by itself."""
        return False

    def tensors(self, source: Source, manifest: Manifest) -> Listing:
        """None: only the adapter knows its files."""
        return Listing(None, reason="only its adapter knows what is in the file")

    def open(self, source: Source, manifest: Manifest, device: str, threads: int | None) -> AdaptedBackend:
        """Run the adapter's code and its `load`, with the files in a folder of the process."""
        if device == "cpu":
            os.environ["CUDA_VISIBLE_DEVICES"] = ""
        folder = tempfile.TemporaryDirectory()
        files = Path(folder.name, "files")
        path = source.unpack(files / source.path.name if source.is_folder else files)
        module = ModuleType("wildbench_adapter")
        sys.modules[module.__name__] = module
        self._call("its code", lambda: exec(compile(self.code, self.file, "exec", dont_inherit=True), vars(module)))
        missing = [name for name in FUNCTIONS if not callable(getattr(module, name, None))]
        if missing:
            problem = f"{self.file}: there is no function {missing[0]}"
            raise SubmissionError(problem, code="adapter", remedy="define load(path) and predict(image)")
        self._call("load", lambda: module.load(str(path)))
        backend = AdaptedBackend(self.origin, module.predict, manifest, folder)
        if device not in ("auto", "cpu") and backend.device == "cpu":
            problem, remedy = f"{self.file} uses no CUDA device", "let it, or use --device cpu"
            raise SubmissionError(problem, code="no-such-device", remedy=remedy)
        return backend

    def _call(self, what: str, call: Callable[[], object]) -> None:
        try:
            call()
        except Exception as error:
            problem = f"{self.file}: {what} raised {type(error).__name__}: {' '.join(str(error).split())[:300]}"
            raise SubmissionError(problem, code="adapter-raised", remedy="correct the adapter") from None


class AdaptedBackend:
    """A detector that an adapter has loaded."""

    def __init__(
        self,
        runtime: str,
        predict: Callable[[npt.NDArray[np.uint8]], Any],
        manifest: Manifest,
        folder: tempfile.TemporaryDirectory[str],
    ) -> None:
        self._runtime, self._predict = runtime, predict
        self._folder = folder  # for as long as the detector may read in it
        self._numbers = {name: number for number, name in enumerate(manifest.categories, 1)}
        cuda = _cuda()
        self.device = f"cuda:{cuda.current_device()}" if cuda else "cpu"

    def run(self, inputs: Inputs) -> Outputs:
        """Its answer for one image, as arrays."""
        (image,) = inputs.values()
        answer = self._predict(np.array(image, np.uint8))  # its own, to write in
        if isinstance(answer, Mapping):
            answer = tuple(answer.get(key) for key in ("boxes", "labels", "scores"))
        if not isinstance(answer, tuple | list) or len(answer) != 3 or any(part is None for part in answer):
            raise WrongOutput(f"predict answered with {type(answer).__name__}", code="adapter-answer", remedy=FORM)
        boxes, labels, scores = map(_array, answer)
        numbers = np.array([self._number(label) for label in labels.reshape(-1).tolist()], np.int64)
        if boxes.size % 4 or not boxes.size // 4 == numbers.size == scores.size:
            shapes = ", ".join(str(list(part.shape)) for part in (boxes, labels, scores))
            raise WrongOutput(f"boxes, labels and scores of shapes {shapes}", code="adapter-answer", remedy=FORM)
        return {
            "boxes": boxes.astype(np.float32).reshape(-1, 4),
            "labels": numbers,
            "scores": scores.astype(np.float32).reshape(-1),
        }

    def facts(self) -> dict[str, Any]:
        """The adapter's name and hash; what runs behind it, nobody can tell."""
        cuda = _cuda()
        used = (cuda.get_device_name(), cuda.max_memory_allocated()) if cuda else ("cpu", None)
        return {"device": used[0], "peak_memory": used[1], "runtime": self._runtime}

    def _number(self, label: object) -> int:
        """A label's number; names are those of the manifest."""
        number = self._numbers.get(label) if isinstance(label, str) else label
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if not isinstance(number, int) or not 1 <= number <= len(self._numbers):
            problem = f"label {label!r} is not a category, nor in 1..{len(self._numbers)}"
            raise WrongOutput(problem, code="unknown-label", remedy="label 1 is the first category")
        return number


def _cuda() -> Any:  # noqa: ANN401 - torch's module
    """torch.cuda, where the adapter's detector uses it."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    return cuda if cuda and cuda.is_initialized() else None


def _array(values: Any) -> npt.NDArray[Any]:  # noqa: ANN401
    """An array of whatever holds values: a list, an array, or a tensor on any device."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)
