"""What is left out of the packages that a detector's process may read."""

import os
from pathlib import Path

from wildbench.submissions.process._packages import FEWEST_BYTES, hidden_from, without


def test_weights_of_a_package_are_left_out_and_its_code_is_not(tmp_path: Path) -> None:
    package = Path(os.path.realpath(tmp_path)) / "site-packages" / "zoo"
    (package / "tests").mkdir(parents=True)
    for name, size in {
        "__init__.py": 9,
        "large.pth": FEWEST_BYTES,
        "small.pth": 9,
        "data.json": FEWEST_BYTES,
        "tests/case.npz": FEWEST_BYTES,
    }.items():
        (package / name).write_bytes(bytes(size))
    hidden = [path for path in hidden_from((str(package.parent),)) if path.startswith(str(package))]
    assert hidden == [str(package / "large.pth"), str(package / "tests")]
    read, listed = without([str(package)], hidden)
    assert sorted(Path(path).name for path in read) == ["__init__.py", "data.json", "small.pth"]
    assert listed == [str(package)]
