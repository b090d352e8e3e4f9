"""What a detector's process may read of installed packages: their code and what it needs, but no weights.

Nothing but the standard library is imported, for the walls do not stand yet where this runs.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

WEIGHTS = (
    ".pt", ".pth", ".pt2", ".ptl", ".pte", ".ckpt", ".safetensors", ".onnx", ".ort", ".tflite", ".engine", ".plan",
    ".h5", ".hdf5", ".keras", ".pb", ".pdparams", ".pdiparams", ".params", ".caffemodel", ".weights", ".gguf", ".bin",
    ".mlmodel", ".model", ".msgpack", ".t7", ".npy", ".npz", ".pkl", ".pickle", ".joblib",
)  # fmt: skip
"""Suffixes of files that hold a network's weights."""

FEWEST_BYTES = 2**16
"""Of weights that are worth hiding: a package's small tables stay."""

SYSTEM = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/usr/local/cuda", "/nix/store", "/gnu/store"),
    *("/usr/share/zoneinfo", "/etc/localtime", "/etc/ld.so.cache", "/etc/ssl/openssl.cnf"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/filesystems", "/proc/version", "/proc/sys/vm"),
    *("/sys/devices/system", "/sys/kernel/mm", "/dev/zero", "/dev/random", "/dev/urandom"),
)
"""Libraries, and what they ask of the machine."""

GPU = ("/sys", "/proc/driver/nvidia", "/proc/modules", "/proc/devices", "/etc/vulkan", "/usr/share/vulkan")


def packages(roots: Iterable[str]) -> tuple[list[str], list[str]]:
    """What Python code needs: files and folders to read, and folders to list.

    Labels lie beside or inside wildbench's package and are left out. Of a folder on the path that is not for installed
    packages, such as a checkout, only its packages and modules are taken.

    Args:
        roots: Folders on the child's path besides those of the interpreter.
    """
    own = Path(__file__).parents[2]
    read = [str(part) for part in own.iterdir() if part.name != "_bundled"]
    listed = [str(own)]
    sites = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    linked = [
        str(Path(site, line))
        for site in sites
        for file in Path(site).glob("*.pth")
        for line in file.read_text().splitlines()
        if line and not line.startswith(("#", "import"))
    ]
    for root in map(Path, dict.fromkeys((*sites, *roots, *linked))):
        if not root.is_dir() or (root == own.parent and str(root) not in sites):
            continue
        installed = root.name in ("site-packages", "dist-packages")
        read += [str(part) for part in root.iterdir() if part != own and (installed or _imported(part))]
        listed.append(str(root))
    libraries = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), *folders_of("LD_LIBRARY_PATH")]
    base = [str(Path(sys.base_prefix, name)) for name in ("lib", "lib64", "bin")]
    return [*read, *libraries, *base, str(Path(sys.prefix, "pyvenv.cfg")), *SYSTEM], listed


def gpu_devices() -> list[str]:
    """Files of NVIDIA's driver; on Windows' Linux there is one for all drivers."""
    return [str(path) for pattern in ("nvidia*", "dxg") for path in Path("/dev").glob(pattern)]


def _imported(part: Path) -> bool:
    return part.suffix in (".py", ".so", ".dist-info", ".egg-info") or (part / "__init__.py").is_file()


def folders_of(variable: str) -> list[str]:
    return [folder for folder in os.environ.get(variable, "").split(os.pathsep) if folder]


@cache
def hidden_from(roots: tuple[str, ...]) -> list[str]:
    """Files and folders among `packages` that are not to be read: weights, and packages of other interpreters.

    A submission brings its weights itself, so those of installed packages are left out, with the folder of tests that
    they are in. Looking for them takes a tenth of a second and is done once.

    Args:
        roots: As for `packages`.
    """
    sites = {os.path.realpath(path) for path in (*sys.path, *roots) if path.endswith("-packages")}
    read, listed = packages(roots)
    folders = [os.path.realpath(path) for path in read]
    other = {
        os.path.realpath(site)
        for folder in folders
        for pattern in ("*-packages", "python3*/*-packages")
        for site in Path(folder).glob(pattern)
    } - sites
    labels = {str(place) for site in sites if (place := Path(site, "wildbench", "_bundled")).is_dir()}
    inside = [path for path in folders if str(Path(path).parent) in sites.union(map(os.path.realpath, listed))]
    return sorted((other | labels).union(*map(_weights_in, inside)))


def _weights_in(path: str) -> Iterator[str]:
    """Those in a file or below a folder; in place of those in tests, the whole folder of tests."""
    pending = [path] if Path(path).is_dir() else []
    if not pending and path.endswith(WEIGHTS) and Path(path).stat().st_size >= FEWEST_BYTES:
        yield path
    while pending:
        place = pending.pop()
        for entry in _entries(place):
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
            elif entry.name.endswith(WEIGHTS) and entry.is_file() and entry.stat().st_size >= FEWEST_BYTES:
                tests = next((one for one in Path(entry.path).parents if one.name in ("test", "tests")), None)
                yield str(tests or entry.path)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(folder))
    except OSError:
        return []


def without(paths: Iterable[str], hidden: Iterable[str]) -> tuple[list[str], list[str]]:
    """Paths from which some are left out: what may be read, and the folders that hold one, to be listed alone.

    Example:
        >>> without(["/usr"], [])
        (['/usr'], [])
    """
    left_out = set(hidden)
    around = {str(folder) for path in left_out for folder in Path(path).parents}
    read, listed, pending = [], [], [os.path.realpath(path) if around else path for path in paths]
    while pending:
        path = pending.pop()
        if path in around:
            listed.append(path)
            pending += [entry.path for entry in _entries(path)]
        elif path not in left_out:
            read.append(path)
    return read, listed
