"""Prune, share and code: the file takes what the entropy of its numbers takes, and little more."""

from pathlib import Path

from made_up_subjects import step

from wildbench.compression.recipes._chain import save
from wildbench.compression.subject import Subject
from wildbench.resources import bundled
from wildbench.submissions.archive._archive import read_submission, rebuild
from wildbench.submissions.inspection import inspect_submission


def test_coding_takes_at_most_three_percent_more_than_the_entropy(tmp_path: Path) -> None:
    archive = read_submission(bundled("baselines/reference.pt"))
    subject = Subject(rebuild(archive, "reference.pt"), archive.manifest)
    step(subject, "weights", ratio=0.6, scope="all")
    step(subject, "share", bits=5)
    step(subject, "code")
    path = tmp_path / "small.pt"
    save(subject, path, parent="0" * 64)
    found = inspect_submission(path)
    assert found.tensors is not None
    assert found.parameters is not None
    coded = [tensor for tensor in found.tensors if "codebook" in tensor.codec]
    assert sum(tensor.elements for tensor in coded) > 0.9 * found.parameters
    assert sum(tensor.bytes for tensor in coded) <= 1.03 * sum(tensor.entropy_bytes or 0 for tensor in coded)
    assert sum(found.bytes_by_part.values()) == found.file_bytes == path.stat().st_size
    assert 4 * found.parameters > 10 * found.file_bytes


def test_the_bundled_file_takes_at_most_three_percent_more_than_the_entropy_of_all_it_holds() -> None:
    found = inspect_submission(bundled("baselines/reference-tiny.pt"))
    assert found.entropy_bytes is not None
    assert found.entropy_bytes < found.file_bytes <= 1.03 * found.entropy_bytes
