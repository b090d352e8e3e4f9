"""The command line in this process, which has imported torch and the rest already."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from wildbench.cli import main


@dataclass
class Result:
    """What one command said."""

    status: int
    stdout: str
    stderr: str

    def refused(self, *parts: str) -> None:
        """It ended with one line that has all of these: values, paths, a code."""
        assert self.status == 2, self.stderr
        line = self.stderr.splitlines()[-1]
        assert line.startswith("wildbench: ")
        assert "Traceback" not in self.stderr
        for part in parts:
            assert part in line


Run = Callable[..., Result]
"""Called as `run("evaluate", path, ...)`, in the folder of the test."""


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path) -> Run:
    monkeypatch.chdir(folder)

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["wildbench", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Result(ended.value.code, captured.out, captured.err)

    return run
