"""Where attacks are tried: each in a process of its own, with a clock, a bound on memory and a look at what it leaves.

An attack is a file and a verb; its end is what has to become of it. What it must not do is end by a traceback or a
signal, hang, take the memory, or leave a process behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import json
import os
import re
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import psutil
import pytest

from wildbench.cli import main

SECONDS = 45.0
"""That one attack may take, alone on a machine."""

MEMORY = 3 << 30
"""Bytes that the parent may take beyond what its libraries take."""

LINE = re.compile(r"^wildbench: .* \[([a-z-]+/[a-z0-9-]+)\]$")


@dataclass(frozen=True)
class End:
    """What became of an attack: `refused` by a code, `ended` with what a command printed or a function gave, or worse.

    Attributes:
        kind: refused, ended, traceback, signal, hang, or left (processes that outlived it).
        code: Of the error.
        value: What was given.
        said: All that was printed.
    """

    kind: str
    code: str = ""
    value: Any = None
    said: str = ""


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: What it tries.
        make: Writes its files into a folder and returns what the verb is given.
        verb: The command, with `{}` for the file, `{park}` for labels of six pictures and `{folder}`; or a function of
            the file and the labels.
        end: The code it is refused by, with `*` for several; or what has to hold for what is printed or given; None
            where it may be refused or ended: something else shows that it did nothing.
        quick: Whether it belongs to the default suite.
    """

    name: str
    make: Callable[[Path], Path]
    verb: str | Callable[[Path, Path], Any]
    end: str | Callable[[Any], bool] | None
    quick: bool = field(default=False, kw_only=True)


def cases(attacks: Sequence[Attack]) -> pytest.MarkDecorator:
    """A test of each; what is not quick is slow."""
    names = [attack.name for attack in attacks]
    assert len(set(names)) == len(names)
    parameters = [pytest.param(one, id=one.name, marks=[] if one.quick else pytest.mark.slow) for one in attacks]
    return pytest.mark.parametrize("attack", parameters)


def check(attack: Attack, folder: Path, park: Path = Path()) -> End:
    """Try an attack, and expect its end."""
    made = attack.make(folder)

    def act() -> Any:
        os.chdir(folder)
        if not isinstance(attack.verb, str):
            return attack.verb(made, park)
        return command(*(word.format(made, folder=folder, park=park) for word in attack.verb.split()))

    end = forked(act)
    told = f"{attack.name}: {end.kind} {end.code} {str(end.value)[-1200:]} {end.said[-800:]}"
    if attack.end is None:
        assert end.kind in ("refused", "ended"), told
    elif isinstance(attack.end, str):
        assert end.kind == "refused", told
        assert any(fnmatch(end.code, one) for one in attack.end.split()), told
    else:
        assert end.kind == "ended", told
        assert attack.end(end.value), told
    return end


class Refusal(Exception):
    """A command ended with exit code 2 and one line."""


def command(*arguments: str) -> str:
    """Run the command line in this process and return what it prints; a Refusal where it ends with 2 and one line."""
    sys.argv = ["wildbench", *arguments]
    out, err = io.StringIO(), io.StringIO()
    status: object = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as ended:
            status = ended.code
    said = err.getvalue().strip().splitlines()
    if status == 2 and said and LINE.match(said[-1]):
        raise Refusal(said[-1])
    if status == 2 and arguments[:2] == ("data", "validate") and " error " in out.getvalue():
        raise Refusal("wildbench: a table of findings [dataset/findings]")
    if status != 0:
        raise RuntimeError(f"exit {status}: {err.getvalue()[-2000:]}")
    return out.getvalue()


def forked(act: Callable[[], Any], seconds: float = SECONDS, memory: int = MEMORY) -> End:
    """Run a function in a fork of this process, whose threads it does not have; a JSON value is what it gives."""
    reading, writing = os.pipe()
    noise_reading, noise_writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.close(noise_reading)
        _in_child(act, writing, noise_writing, memory)
    os.close(writing)
    os.close(noise_writing)
    try:
        answer, said = _collect(reading, noise_reading, time.monotonic() + seconds)
    finally:
        _end(child)
        os.close(reading)
        os.close(noise_reading)
    status = os.waitpid(child, 0)[1]
    if answer is None:
        return End("hang", said=said)
    if not answer:
        return End("signal", code=str(os.waitstatus_to_exitcode(status)), said=said)
    return End(**json.loads(answer), said=said)


def _collect(reading: int, noise: int, deadline: float) -> tuple[bytes | None, str]:
    """What the child answers, None where the clock ends; and the last of what it prints."""
    answer, said, waiting = b"", b"", {reading, noise}
    while reading in waiting:
        left = deadline - time.monotonic()
        ready = select.select(list(waiting), [], [], max(left, 0))[0]
        if not ready:
            return None, said.decode(errors="replace")
        for one in ready:
            part = os.read(one, 1 << 16)
            if not part:
                waiting.discard(one)
            elif one == reading:
                answer += part
            else:
                said = (said + part)[-20_000:]
    return answer, said.decode(errors="replace")


def _end(child: int) -> None:
    """End the child, unless it has ended, and all that it started."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(child)
        if process.status() == psutil.STATUS_ZOMBIE:
            return
        for one in [*process.children(recursive=True), process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)


def _in_child(act: Callable[[], Any], writing: int, noise: int, memory: int) -> None:
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)  # PR_SET_CHILD_SUBREAPER: what it leaves behind is its own
        for descriptor in (1, 2):
            os.dup2(noise, descriptor)
        sys.stdout = sys.__stdout__
        sys.stderr = sys.__stderr__
        taken = psutil.Process().memory_info().data
        resource.setrlimit(resource.RLIMIT_DATA, (taken + memory, resource.getrlimit(resource.RLIMIT_DATA)[1]))
        answer = _outcome(act)
        left = [one for one in psutil.Process().children(recursive=True) if one.status() != psutil.STATUS_ZOMBIE]
        if left:
            answer = {"kind": "left", "value": [one.name() for one in left]}
        for one in left:
            one.kill()
        os.write(writing, json.dumps(answer).encode())
    finally:
        os._exit(0)


def _outcome(act: Callable[[], Any]) -> dict[str, Any]:
    from wildbench.errors import WildbenchError

    try:
        return {"kind": "ended", "value": act()}
    except Refusal as line:
        matched = LINE.match(str(line))
        assert matched
        return {"kind": "refused", "code": matched[1], "value": str(line)}
    except WildbenchError as error:
        one = LINE.match(error.line())
        return {"kind": "refused" if one else "traceback", "code": error.code, "value": error.line()}
    except BaseException:
        return {"kind": "traceback", "value": traceback.format_exc()[-3000:]}
