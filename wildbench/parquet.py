"""Parquet files, written whole or not at all, and read with one line for what is wrong with one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from wildbench.errors import WildbenchError, needs
from wildbench.files import atomic_writer


def pyarrow() -> Any:  # noqa: ANN401 - it has no types
    """The library, with its Parquet; or a MissingExtra."""
    with needs("scale"):
        import pyarrow
        import pyarrow.parquet
    return pyarrow


def write_table(path: Path, table: Any, metadata: Mapping[bytes, bytes] | None = None) -> None:  # noqa: ANN401
    """Write a pyarrow table; the same table gives the same bytes.

    Raises:
        OutputError: It cannot be written; no file is left.
    """
    with atomic_writer(path) as file:
        pyarrow().parquet.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")


def read_table(path: Path, error: type[WildbenchError], code: str, remedy: str) -> tuple[Any, dict[bytes, bytes]]:
    """Read a pyarrow table and its metadata.

    Raises:
        WildbenchError: Of the class `error`, with `code` and `remedy`: it is truncated, or no Parquet.
    """
    arrow = pyarrow()
    try:
        table = arrow.parquet.read_table(path, partitioning=None)
    except (arrow.ArrowException, OSError, ValueError) as problem:
        what = f"{path}: truncated, or not a Parquet file ({' '.join(str(problem).split())[:100]})"
        raise error(what, code=code, remedy=remedy) from None
    return table, dict(table.schema.metadata or {})
