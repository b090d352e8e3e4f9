"""JSON as it stands in a file: what can be wrong with it before anybody asks what it means."""

from __future__ import annotations

import codecs
import json
from pathlib import Path
from typing import Any

from wildbench.datasets.findings import WHOLE, Finding

_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_document(path: Path | str) -> tuple[Any, list[Finding]]:
    """Read a JSON file, whatever it holds.

    Returns:
        The parsed JSON, None where there is an error; and what is wrong with the file.

    Example:
        >>> read_document("no.json")
        (None, [Finding(code='file-unreadable', place='the file', message='No such file or directory', \
remedy='name a JSON file that can be read', severity='error')])
    """
    findings: list[Finding] = []
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # a ValueError where the name has a NUL in it
        reason = getattr(error, "strerror", None) or str(error)
        return None, [Finding("file-unreadable", WHOLE, reason, "name a JSON file that can be read")]
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        entry = dict(pairs)
        if len(entry) < len(pairs):
            names = [name for name, _ in pairs]
            repeated = next(name for name in names if names.count(name) > 1)
            twice.append(f'"{repeated}"' + (f" in the object of id {entry['id']}" if "id" in entry else ""))
        return entry

    try:
        document = json.loads(data, object_pairs_hook=unique)
    except (ValueError, RecursionError) as error:
        return None, [Finding("not-json", WHOLE, f"not JSON ({error})", "write it anew; it may be cut short")]
    if data.startswith(_MARKS):
        message = "starts with a byte-order mark, or is not UTF-8: other readers refuse it"
        findings.append(Finding("json-encoding", WHOLE, message, "save it as UTF-8 without a mark", "warning"))
    if twice:
        more = f" (and {len(twice) - 1} more)" if len(twice) > 1 else ""
        message = f"the key {twice[0]} stands twice{more}, and only the last counts"
        findings.append(Finding("json-key-duplicate", WHOLE, message, "keep one of the two"))
    return (None if twice else document), findings
