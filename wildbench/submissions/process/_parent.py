"""A detector in a process of its own, which gets pixels and gives detections: the parent's side.

The child gets no label, file name, image id or data set path; its working directory is an empty temporary folder and
its environment is bare. It is not trusted: whatever it answers is checked again here.
"""

from __future__ import annotations

import contextlib
import copy
import os
import re
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ValidationError

import wildbench
from wildbench import errors, plugins
from wildbench.environment import usable_cpus
from wildbench.errors import (
    DetectorCrashed,
    DetectorError,
    DetectorOutOfMemory,
    DetectorTimedOut,
    MissingExtra,
    PluginError,
    SubmissionError,
    UnjailedSubmission,
    WrongOutput,
    first_problem,
)
from wildbench.scorecard import Isolation
from wildbench.submissions.admission import Admitted, given
from wildbench.submissions.foreign import Adapter
from wildbench.submissions.manifest import Manifest, manifest_path
from wildbench.submissions.process._bubblewrap import bubblewrap, wrapped
from wildbench.submissions.process._group import Group, own_group
from wildbench.submissions.process._handover import (
    LONGEST_REPLY,
    MOST_NEIGHBOURS,
    Told,
    sealed,
    send_bytes,
    send_submission,
)
from wildbench.submissions.process._isolation import Targets, isolation_of
from wildbench.submissions.process._jail import command, keep_bytecode
from wildbench.submissions.process._packages import gpu_devices, hidden_from
from wildbench.submissions.process._processor import forget_peaks, held, peak_resident, processor_seconds, tree
from wildbench.submissions.process._remains import Noise, remove_folder
from wildbench.submissions.process._wire import (
    LONGEST_HEADER,
    Detections,
    Garbled,
    check_detections,
    receive,
    receive_detections,
    send,
)
from wildbench.submissions.source import Source

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


CUDA = re.compile("cuda:[0-9]{1,3}")

CODE, LONGEST_TEXT = re.compile(r"([a-z-]+/)?[a-z0-9-]{1,60}"), 4000
"""Of an error that the child tells: its code, and characters of its message."""

LEAVE_OUT = "leave a part out of the manifest to take it from the file"


class Sandbox:
    """A submission, read and opened in a child process for as long as the `with` block runs.

    The child starts with the block and is waited for when it is first used, so that the caller can work meanwhile. The
    parent reads and hashes the files; the child alone parses them, and runs the bytes that were hashed.

    Args:
        submission: A file of any registered format, or the folder or zip that holds it.
        device: "cpu", "cuda", "cuda:N", or "auto" for CUDA where the format's library has it.
        timeout_s: Longest wait for one answer, and for opening; seconds.
        memory_bytes: What the detector may allocate beyond the libraries that run it; None for no limit. Linux only.
        threads: CPU threads of the detector; by default OMP_NUM_THREADS or the number of CPUs this process may use.
        require_jail: Open nothing where the walls around the process do not all stand.
        manifest: In place of one beside or inside the file, as for `admit`.
        adapter: A file of Python that opens the submission, as for `admit`.
        provisional: Whether to take a file of which nothing says what it answers, with a manifest that is made up.
        opens: Whether to open it as soon as it is admitted, and not when it is first used.

    Raises:
        UnjailedSubmission: They do not, and `require_jail` is True.
        SubmissionError: There is no such file; or, when it is first asked, it cannot be admitted or opened.
        DetectorError: The detector crashed, hung, ran out of memory or answered with nonsense.

    Example:
        >>> with Sandbox("yolox_nano.onnx") as box:  # doctest: +SKIP
        ...     answer = box.predict(image)
        >>> answer.detections.boxes.shape  # doctest: +SKIP
        (12, 4)
    """

    def __init__(
        self,
        submission: Path | str,
        *,
        device: str = "cpu",
        timeout_s: float = 120,
        memory_bytes: int | None = None,
        threads: int | None = None,
        require_jail: bool = False,
        manifest: Manifest | Path | str | None = None,
        adapter: Path | str | None = None,
        provisional: bool = False,
        opens: bool = True,
    ) -> None:
        self._source = Source.read(submission)
        self._stated = given(manifest)
        self._adapter = None if adapter is None else Adapter.read(adapter)
        self._asked = {"provisional": provisional}
        self._opens = opens
        self.timeout_s = timeout_s
        self.threads = threads or _default_threads()
        self._wanted = {"device": device, "threads": self.threads, "memory_bytes": memory_bytes}
        self._device: str | None = None
        self._isolation: Isolation | None = None
        self._require_jail = require_jail
        self._stack = contextlib.ExitStack()
        self._ended = True
        self._pids: list[int] = []

    @property
    def path(self) -> Path:
        """The submission file, for messages."""
        return self._source.path

    @property
    def admitted(self) -> Admitted:
        """What it is; waits until the child has read it.

        Raises:
            SubmissionError: It is damaged, not taken, or takes too much time or memory to read.
        """
        return self._admission.result()[0]

    @property
    def reading(self) -> tuple[dict[str, Any], str] | None:
        """Where nothing says what it answers: what is known of its manifest, and where that was read."""
        return self._admission.result()[1]

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

    def twin(self, threads: int | None = None) -> Sandbox:
        """The same bytes for another process, with the same limits, which has seen nothing yet."""
        other = copy.copy(self)
        other.threads = threads or self.threads
        other._wanted = {**self._wanted, "threads": other.threads}
        other._stack, other._ended, other._device = contextlib.ExitStack(), True, None
        return other

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
            _ = self.admitted
            with self._failures():
                if not self._opens:
                    self._open()
                self._device = self._given_device(str(self._receive(self._open_by).get("device")))
                self._pids = tree(self.pid)
        return self._device

    def _given_device(self, told: str) -> str:
        """Where the child says it runs, if that is a device it was given: times of another are no times of this one."""
        wanted = str(self._wanted["device"])
        graphics = CUDA.fullmatch(told) and (wanted != "auto" or gpu_devices())
        if told != "cpu" and (wanted == "cpu" or not graphics):
            raise Garbled(f"the device {told[:40]!r}, which it was not given")
        return told

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
        reader = stack.enter_context(ThreadPoolExecutor(1))
        home = tempfile.mkdtemp(prefix="wildbench-")
        stack.callback(remove_folder, home)
        environment = _environment(home, self.threads)
        keep_bytecode(["wildbench.submissions.process._child"])
        program = bubblewrap()
        bound, device = "free" if program else "bound", str(self._wanted["device"])
        roots = environment["PYTHONPATH"].split(os.pathsep)
        hidden = sealed(["\0".join(hidden_from(tuple(roots))).encode()])
        stack.callback(os.close, hidden)
        inside = command(bound, device, hidden, *Targets(stack).arguments(), theirs.fileno(), readable)
        if program:
            inside = wrapped(program, inside, home, roots, gpu=self._wanted["device"] != "cpu")
        self._namespaces = program is not None
        self._process = subprocess.Popen(
            inside,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=home,
            env=environment,
            pass_fds=(hidden, theirs.fileno(), readable),
            start_new_session=True,
        )
        self._ended, self._device, self._isolation, self._longest = False, None, None, 0
        self._group = Group.near(own_group())
        if self._group:
            stack.callback(self._group.close)
        self._start_by = time.monotonic() + self.timeout_s
        stack.callback(self._end)
        self._noise = Noise(self._process.stdout)
        theirs.close()
        with self._failures():
            if self._require_jail:
                self._hear_of_walls()
        self._admission = reader.submit(self._admit)

    def _admit(self) -> tuple[Admitted, tuple[dict[str, Any], str] | None]:
        """Let the child read the submission, and have it opened; runs beside the caller."""
        with self._refusals():
            self._hear_of_walls()
            deadline = time.monotonic() + self.timeout_s
            send_submission(self._channel, self._source, self._stated, self._adapter, **self._asked)
            for _ in range(MOST_NEIGHBOURS):
                header = self._receive(deadline, LONGEST_REPLY)
                if "beside" not in header:
                    break
                data = self._source.neighbour(str(header["beside"]))
                send(self._channel, {"size": None if data is None else len(data)})
                if data is not None:
                    send_bytes(self._channel, [data])
            try:
                reply = Told.model_validate(header)
                admitted = reply.admitted(self._source, self._adapter, self._stated)
            except ValidationError as error:
                raise Garbled(f"no valid reply ({first_problem(error)})") from None
            except ValueError as error:
                raise Garbled(str(error)) from None
            forget_peaks(tree(self.pid))  # reading is no part of what the detector takes
            keep_bytecode(admitted.format.libraries)
            if self._opens:
                self._open()
        return admitted, None if reply.draft is None else (reply.draft, reply.where)

    def _open(self) -> None:
        """Have the detector opened; `ready` waits for it."""
        self._opens, self._open_by = True, time.monotonic() + self.timeout_s
        send(self._channel, {"open": self._wanted})

    def _hear_of_walls(self) -> None:
        """The child's first message, before it has read anything of the submission."""
        if self._isolation is not None:
            return
        try:
            told = self._receive(self._start_by)
            grouped = self._group is not None and self._group.take(tree(self._process.pid))
            self._isolation = isolation_of(told, namespaces=self._namespaces, grouped=grouped)
        except (KeyError, AttributeError, ValidationError):
            raise Garbled("no account of its walls") from None
        if self._require_jail and (self._isolation.not_enforced or self._isolation.level == "process"):
            missing = ", ".join(self._isolation.not_enforced) or "Landlock or a filter of system calls"
            problem = f"{self.path.name}: not all walls of the jail stand on this machine ({missing})"
            raise UnjailedSubmission(problem, code="no-jail", remedy="measure where they do, or without --require-jail")

    def _hand_over(self, image: npt.NDArray[np.uint8]) -> list[int]:
        """Write an image's pixels to the shared file, before its time is taken."""
        view, written = np.ascontiguousarray(image).data.cast("B"), 0
        while written < len(view):
            written += os.pwrite(self._pixels, view[written:], written)
        if written < self._longest:
            os.ftruncate(self._pixels, written)  # nothing stays of a larger image before
        self._longest = written
        return list(image.shape)

    def _receive(self, deadline: float, longest: int = LONGEST_HEADER) -> dict[str, Any]:
        header = receive(self._channel, deadline, longest)
        if "error" not in header:
            return header
        kind = getattr(errors, str(header["error"]), None)
        if not (isinstance(kind, type) and issubclass(kind, SubmissionError | MissingExtra | PluginError)):
            kind = DetectorCrashed
        code, what, remedy = (str(header.get(key, ""))[:LONGEST_TEXT] for key in ("code", "what", "remedy"))
        code = code.rpartition("/")[2] if CODE.fullmatch(code) else "raised"
        raise kind(self._placed(what), code=code, remedy=remedy)

    def _placed(self, what: str) -> str:
        """A message of the child, which knows a file by its name, with the place of the file."""
        name, colon, problem = what.partition(": ")
        own = {self.path.name, manifest_path(self.path).name}
        return f"{self.path.parent / name}{colon}{problem}" if name in own else what

    @contextlib.contextmanager
    def _refusals(self) -> Iterator[None]:
        """Turn whatever goes wrong while the submission is read into one error about it, and end the child."""
        try:
            with self._failures():
                yield
        except DetectorError as error:
            code = "slow-to-read" if isinstance(error, DetectorTimedOut) else "unreadable"
            problem = f"{self.path}: cannot be read: {error.what.partition(': ')[2]}"
            raise SubmissionError(problem, code=code, remedy="export it again") from None

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
            doubts = self.admitted.notes if isinstance(error, WrongOutput) and self._admission.done() else ()
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
        if status == -signal.SIGXCPU:
            return DetectorTimedOut(f"{self.path.name}: its process used up its processor time", code="timed-out")
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


def _environment(home: str, threads: int) -> dict[str, str]:
    """A bare environment: where to find Python, its libraries and the GPU, and nothing about the data."""
    environment = {name: os.environ[name] for name in PASSED_VARIABLES if name in os.environ}
    added = (
        folder for registry in (plugins.formats, plugins.readers, plugins.detectors) for folder in registry.folders()
    )
    packages = dict.fromkeys((str(Path(wildbench.__path__[0]).parent), *added))
    own = {"PYTHONPATH": os.pathsep.join(packages), "HOME": home, "TMPDIR": home, "OMP_NUM_THREADS": str(threads)}
    return environment | own


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
