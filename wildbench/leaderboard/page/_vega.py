"""Vega, Vega-Lite and Vega-Embed as one script, from the wheel of vl-convert: charts without a network."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import vl_convert

from wildbench.files import write_atomically
from wildbench.resources import cache_dir

VEGA_LITE = "6.4"
"""The Vega-Lite that charts are written for."""


def vega_script() -> str:
    """The script, which sets `window.vegaEmbed`.

    Bundling takes seconds, so what comes out is kept in `cache_dir()`, by the version of vl-convert.
    """
    kept = _kept()
    if not kept.is_file():
        script = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;", vl_version=VEGA_LITE)
        write_atomically(kept, script.encode())
    return kept.read_text(encoding="utf-8")


def versions() -> str:
    """What the script holds, for the foot of a page."""
    vega, embed = vl_convert.get_vega_version(), vl_convert.get_vega_embed_version()
    return f"Vega-Lite {VEGA_LITE}, Vega {vega}, Vega-Embed {embed}"


def _kept() -> Path:
    return cache_dir() / f"vega-{VEGA_LITE}-{version('vl-convert-python')}.js"
