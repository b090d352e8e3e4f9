"""A detector in a process of its own, which gets pixels and gives detections: the parent's side.

The child gets no label, file name, image id or data set path; its working directory is an empty temporary folder and
its environment is bare. It is not trusted: whatever it answers is checked again here.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

from wildbench import errors, plugins
from wildbench.environment import usable_cpus
from wildbench.errors import (
    DetectorCrashed,
    DetectorError,
    DetectorOutOfMemory,
    DetectorTimedOut,
    SubmissionError,
    UnjailedSubmission,
    WrongOutput,
    first_problem,
)
from wildbench.scorecard import Isolation
from wildbench.submissions.admission import Admitted, admit
from wildbench.submissions.foreign import Adapter
from wildbench.submissions.manifest import Manifest
from wildbench.submissions.process._bubblewrap import bubblewrap, wrapped
from wildbench.submissions.process._isolation import Targets, isolation_of
from wildbench.submissions.process._jail import command
from wildbench.submissions.process._processor import held, peak_resident, processor_seconds, tree
from wildbench.submissions.process._remains import Noise, remove_folder
from wildbench.submissions.process._wire import Detections, Garbled, check_detections, receive, receive_detections, send

PASSED_VARIABLES = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")


@dataclass(frozen=True)
class Answer:
    """A detector's answer for one image.

    Attributes:
        detections: Checked.
        seconds: From the request to the last byte of the answer, by the parent's clock; pixels are handed over before.
        processor: Processor time that the detector's processes took meanwhile, in seconds, by the kernel's account.
    """

    detections: Detections
    seconds: float
    processor: float = 0.0

    @property
    def stages(self) -> dict[str, float]:
        """Seconds of preprocess, forward and postprocess, by the child's clock."""
        return self.detections.stages


LEAVE_OUT = "leave a part out of the manifest to take it from the file"


class Sandbox:
    """A submission, opened in a child process for as long as the `with` block runs.

    The child starts with the block and is waited for when it is first used, so that the caller can work meanwhile.

    Args:
        submission: A file of any registered format, or one that is admitted already.
        device: "cpu", "cuda", "cuda:N", or "auto" for CUDA where the format's library has it.
        timeout_s: Longest wait for one answer, and for opening; seconds.
        memory_bytes: What the detector may allocate beyond the libraries that run it; None for no limit. Linux only.
        threads: CPU threads of the detector; by default OMP_NUM_THREADS or the number of CPUs this process may use.
        require_jail: Open nothing where the walls around the process do not all stand.

    Raises:
        UnjailedSubmission: They do not, and `require_jail` is True.
        SubmissionError: The file cannot be opened.
        DetectorError: The detector crashed, hung, ran out of memory or answered with nonsense.

    Example:
        >>> with Sandbox("yolox_nano.onnx") as box:  # doctest: +SKIP
        ...     answer = box.predict(image)
        >>> answer.detections.boxes.shape  # doctest: +SKIP
        (12, 4)
    """

    def __init__(
        self,
        submission: Path | str | Admitted,
        *,
        device: str = "cpu",
        timeout_s: float = 120,
        memory_bytes: int | None = None,
        threads: int | None = None,
        require_jail: bool = False,
    ) -> None:
        self.admitted = admit(submission)
        self._wanted = device
        self._memory_bytes = memory_bytes
        self.timeout_s = timeout_s
        self.threads = threads or _default_threads()
        self._device: str | None = None
        self._isolation: Isolation | None = None
        self._require_jail = require_jail
        self._stack = contextlib.ExitStack()
        self._ended = True
        self._pids: list[int] = []

    @property
    def path(self) -> Path:
        """The submission file, for messages."""
        return self.admitted.path

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda:0"; within the `with` block."""
        return self.ready()

    @property
    def isolation(self) -> Isolation:
        """What keeps it in; within the `with` block."""
        self.ready()
        assert self._isolation is not None
        return self._isolation

    @property
    def pid(self) -> int:
        """Of the child; within the `with` block."""
        return tree(self._process.pid)[-1] if self._namespaces else self._process.pid

    @property
    def manifest(self) -> Manifest:
        """Its manifest."""
        return self.admitted.manifest

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def predict(self, image: npt.NDArray[np.uint8]) -> Answer:
        """Detections in one image (uint8, H x W x 3, RGB), in its pixels, and the time they took.

        Raises:
            DetectorError: It crashed, hung, ran out of memory or answered with nonsense; the child is ended.
            ValueError: The image has another type or shape.
        """
        height, width = _checked(image).shape[:2]
        self.ready()
        with self._failures():
            nonce = secrets.token_hex(8)  # an answer that was sent ahead of its request does not know it
            request = {"shape": self._hand_over(image), "nonce": nonce}
            deadline = time.monotonic() + self.timeout_s
            before = processor_seconds(self._pids)
            start = time.perf_counter()
            send(self._channel, request)
            header = self._receive(deadline)
            detections = receive_detections(self._channel, header, height, width, deadline)
            seconds = time.perf_counter() - start
            self._pids = tree(self.pid)
            taken = sum(now - before.get(pid, 0) for pid, now in processor_seconds(self._pids).items())
            if header.get("nonce") != nonce:
                raise Garbled("an answer to another request")
            check_detections(detections, len(self.manifest.categories), height, width)
        return Answer(detections, seconds, taken)

    def twin(self) -> Sandbox:
        """The same submission for another process, with the same limits, which has seen nothing yet."""
        limits: dict[str, Any] = {"timeout_s": self.timeout_s, "memory_bytes": self._memory_bytes}
        return Sandbox(self.admitted, device=self._wanted, threads=self.threads, **limits)

    def held(self) -> contextlib.AbstractContextManager[list[int]]:
        """Stop every process of the detector for as long as the block runs; gives their ids."""
        self.ready()
        return held(self.pid)

    @property
    def peak_memory(self) -> int | None:
        """The most resident memory that its processes ever had, in bytes; None where the system keeps no account."""
        return peak_resident(tree(self.pid))

    def ready(self) -> str:
        """Wait until the detector is open, and return its device; raises SubmissionError where it cannot be opened."""
        if self._device is None:
            with self._failures():
                self._hear_of_walls()
                self._device = str(self._receive(self._start_by).get("device"))
                self._pids = tree(self.pid)
        return self._device

    def call(self, function: str, image: npt.NDArray[np.uint8] | None = None, **arguments: Any) -> Any:  # noqa: ANN401
        """Run a function in the child, as `function(opened, image, **arguments)`.

        Args:
            function: "package.module:function", of wildbench.
            image: uint8, H x W x 3, RGB, or None.
            **arguments: JSON values.

        Returns:
            A JSON value, made in a process that is not trusted.

        Raises:
            ValueError: The function is not one of wildbench's, or the image has another type or shape.
            DetectorError: As for `predict`.
        """
        if not function.startswith("wildbench."):
            raise ValueError(f"{function}: only functions of wildbench run in the sandbox")
        pixels = None if image is None else _checked(image)
        self.ready()
        with self._failures():
            shape = None if pixels is None else self._hand_over(pixels)
            send(self._channel, {"call": function, "arguments": arguments, "shape": shape})
            header = self._receive(time.monotonic() + self.timeout_s)
            if "value" not in header:
                raise Garbled("no value")
        return header["value"]

    def _start(self, stack: contextlib.ExitStack) -> None:
        self._pixels, readable = _shared_file(stack)
        self._channel, theirs = (stack.enter_context(end) for end in socket.socketpair())
        home = tempfile.mkdtemp(prefix="wildbench-")
        stack.callback(remove_folder, home)
        environment = _environment(home, self.threads, type(self.admitted.format))
        program = bubblewrap()
        bound = "free" if program else "bound"
        inside = command(bound, self._wanted, *Targets(stack).arguments(), theirs.fileno(), readable)
        if program:
            roots = environment["PYTHONPATH"].split(os.pathsep)
            inside = wrapped(program, inside, home, roots, gpu=self._wanted != "cpu")
        self._namespaces = program is not None
        self._process = subprocess.Popen(
            inside,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=home,
            env=environment,
            pass_fds=(theirs.fileno(), readable),
            start_new_session=True,
        )
        self._ended, self._device, self._isolation = False, None, None
        self._start_by = time.monotonic() + self.timeout_s
        stack.callback(self._end)
        self._noise = Noise(self._process.stdout)
        theirs.close()
        source = self.admitted.source
        end = 0
        for data in source.files.values():
            end += self._write(memoryview(data), end)
        sizes = {name: len(data) for name, data in source.files.items()}
        signature = self.admitted.signature and asdict(self.admitted.signature)
        file: dict[str, Any] = {"name": source.path.name, "files": sizes, "main": source.main}
        format = self.admitted.format
        file |= {"format": format.name, "signature": signature}
        file["adapter"] = [format.file, format.code] if isinstance(format, Adapter) else None
        asked = {"device": self._wanted, "threads": self.threads, "memory_bytes": self._memory_bytes}
        request = {**file, "manifest": self.manifest.model_dump(mode="json"), **asked}
        with self._failures():
            if self._require_jail:
                self._hear_of_walls()
            send(self._channel, request)

    def _hear_of_walls(self) -> None:
        """The child's first message, before it has read anything of the submission."""
        if self._isolation is not None:
            return
        try:
            self._isolation = isolation_of(self._receive(self._start_by), namespaces=self._namespaces)
        except (KeyError, AttributeError, ValidationError):
            raise Garbled("no account of its walls") from None
        if self._require_jail and (self._isolation.not_enforced or self._isolation.level == "process"):
            missing = ", ".join(self._isolation.not_enforced) or "Landlock or a filter of system calls"
            problem = f"{self.path.name}: not all walls of the jail stand on this machine ({missing})"
            raise UnjailedSubmission(problem, code="no-jail", remedy="measure where they do, or without --require-jail")

    def _hand_over(self, image: npt.NDArray[np.uint8]) -> list[int]:
        """Write an image's pixels to the shared file, before its time is taken."""
        self._write(np.ascontiguousarray(image).data.cast("B"))
        return list(image.shape)

    def _write(self, view: memoryview, at: int = 0) -> int:
        """Write bytes to the shared file, from its start or further on; gives their number."""
        written = 0
        while written < len(view):
            written += os.pwrite(self._pixels, view[written:], at + written)
        return written

    def _receive(self, deadline: float) -> dict[str, Any]:
        header = receive(self._channel, deadline)
        if "error" not in header:
            return header
        kind = getattr(errors, str(header["error"]), None)
        if not (isinstance(kind, type) and issubclass(kind, SubmissionError)):
            kind = DetectorCrashed
        code = str(header.get("code")).rpartition("/")[2]
        raise kind(str(header.get("what")), code=code, remedy=str(header.get("remedy", "")))

    @contextlib.contextmanager
    def _failures(self) -> Iterator[None]:
        """Turn whatever goes wrong with the child into one error, and end the child."""
        if self._ended:
            problem = f"{self.path.name}: its process has ended"
            raise DetectorCrashed(problem, code="ended", remedy="open it in a new sandbox")
        try:
            yield
        except TimeoutError:
            self._end()
            problem = f"{self.path.name}: no answer within {self.timeout_s:g} s"
            remedy = "see whether it hangs on this image size"
            raise DetectorTimedOut(problem, code="timed-out", remedy=remedy) from None
        except Garbled as error:
            self._end()
            raise WrongOutput(f"{self.path.name}: its process answered with {error}", code="garbled") from None
        except (EOFError, ConnectionError):
            raise self._obituary() from None
        except DetectorError as error:
            self._end()
            code = error.code.rpartition("/")[2]
            doubts = self.admitted.notes if isinstance(error, WrongOutput) else ()
            remedy = "; ".join([error.remedy, *doubts, *([LEAVE_OUT] if doubts else [])])
            raise type(error)(f"{self.path.name}: {error.what}", code=code, remedy=remedy) from None
        except BaseException:
            self._end()
            raise

    def _obituary(self) -> DetectorError:
        """Why the child has ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=5)
        status = self._process.poll()
        if self._namespaces and status is not None and status > 128:
            status = 128 - status  # as a shell tells signals
        self._end()
        last = self._noise.last_line()
        if status == -signal.SIGKILL:
            problem = f"{self.path.name}: its process was killed, most likely by the system for want of memory"
            remedy = "try a machine with more memory or a smaller detector"
            return DetectorOutOfMemory(problem, code="killed", remedy=remedy)
        if "bad_alloc" in last or "allocate memory" in last:
            return DetectorOutOfMemory(f"{self.path.name}: ran out of memory ({last})", code="out-of-memory")
        if status is not None and status < 0:
            how = f"ended by {signal.Signals(-status).name}"
        else:
            how = f"ended with exit code {status}" if status is not None else "closed its channel"
        return DetectorCrashed(f"{self.path.name}: its process {how}" + (f" ({last})" if last else ""), code="ended")

    def _end(self) -> None:
        """End the child and whatever it started; only once, for its number may be another process's later."""
        if self._ended:
            return
        self._ended = True
        inside = tree(self._process.pid)[1:2] if self._namespaces else []
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            for first in inside:  # with which its namespace ends, and then bubblewrap
                os.kill(first, signal.SIGKILL)
                self._process.wait(timeout=5)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if not inside or self._process.poll() is None:
                os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _checked(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ValueError(f"an image is uint8, H x W x 3, not {image.dtype} {list(image.shape)}")
    return image


def _default_threads() -> int:
    wanted = os.environ.get("OMP_NUM_THREADS", "")
    return int(wanted) if wanted.isdecimal() and int(wanted) else usable_cpus()


def _environment(home: str, threads: int, format: type) -> dict[str, str]:
    """A bare environment: where to find Python, its libraries and the GPU, and nothing about the data."""
    environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    added = (*plugins.formats.folders(), *plugins.detectors.folders())
    packages = dict.fromkeys((_root_of("wildbench"), _root_of(format.__module__), *added))
    own = {"PYTHONPATH": os.pathsep.join(packages), "HOME": home, "TMPDIR": home, "OMP_NUM_THREADS": str(threads)}
    return environment | own


def _root_of(module: str) -> str:
    """The folder from which a module's package is imported."""
    package = module.partition(".")[0]
    return str(Path(str(sys.modules[package].__file__)).parents[1 if hasattr(sys.modules[package], "__path__") else 0])


def _shared_file(stack: contextlib.ExitStack) -> tuple[int, int]:
    """A file without a name: a descriptor to write it, and another that can only read it."""
    with tempfile.NamedTemporaryFile() as file:
        readable = os.open(file.name, os.O_RDONLY)
        stack.callback(os.close, readable)
        writable = os.dup(file.fileno())
        stack.callback(os.close, writable)
    return writable, readable


Reply = TypeVar("Reply", bound=BaseModel)


def ask(
    box: Sandbox,
    function: str,
    reply: type[Reply],
    image: npt.NDArray[np.uint8] | None = None,
    **arguments: Any,  # noqa: ANN401 - JSON values
) -> Reply:
    """Run "module:function" in the child, as `function(opened, image, **arguments)`, and validate its reply.

    Raises:
        DetectorError: The process failed, or answered with something else.
    """
    answer = box.call(function, image, **arguments)
    try:
        return reply.model_validate(answer)
    except ValidationError as error:
        problem = f"its process answered with no valid {reply.__name__} ({first_problem(error)})"
        raise WrongOutput(f"{box.path.name}: {problem}", code="garbled") from None
