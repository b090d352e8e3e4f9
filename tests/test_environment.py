"""What a scorecard says of the machine."""

import os
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest

from wildbench.environment import PACKAGES, describe_environment, versions


def test_a_package_that_is_not_installed_is_left_out() -> None:
    assert versions(["numpy", "onnxruntime-that-nobody-has"]) == {"numpy": np.__version__}


def test_whichever_opencv_and_onnxruntime_there_is_is_named() -> None:
    installed = {distribution.name.lower() for distribution in metadata.distributions()}
    found = describe_environment().packages
    assert set(found) == installed & set(PACKAGES)
    for package in ("onnxruntime", "opencv", "torch"):
        assert any(name.startswith(package) for name in found)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system binds no process to a CPU")
def test_only_cpus_that_this_process_may_use_are_counted() -> None:
    code = (
        "import os, sys; from wildbench.environment import usable_cpus; "
        "os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); print(usable_cpus(), 'torch' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["1", "False"]
