"""Which format a file is taken for."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

from wildbench import plugins
from wildbench.errors import SubmissionError
from wildbench.submissions.admission import recognise
from wildbench.submissions.formats import Format
from wildbench.submissions.source import Source


class Arrays(Format):
    name, suffix, title = "arrays", ".npz", "an archive of arrays"

    def sniff(self, source: Source) -> bool:
        return "weights.npy" in zipfile.ZipFile(io.BytesIO(source.data)).namelist()


def test_a_zip_of_another_package_is_not_taken_for_a_damaged_one_of_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "flat.npz"
    np.savez(path, weights=np.zeros(3), biases=np.zeros(3))  # two records without a folder
    with pytest.raises(SubmissionError):
        recognise(Source.read(path))
    arrays = Arrays()
    monkeypatch.setattr(plugins.formats, "_targets", {**plugins.formats._targets, "arrays": arrays})
    assert recognise(Source.read(path))[1] is arrays
