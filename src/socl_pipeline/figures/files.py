"""Figures as files: equal figures give equal bytes, whenever they are drawn."""

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from socl_pipeline.pipeline.artifact import atomic_path

DPI = 300  # what journals ask for
# The default metadata name the matplotlib release and the time.
_METADATA: dict[str, dict[str, Any]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def figure_png(fig: Figure, dpi: int = 160) -> bytes:
    """Return the figure as PNG bytes; equal figures give equal bytes."""
    return _bytes(fig, "png", dpi)


def save(fig: Figure, path: Path, dpi: int = DPI) -> None:
    """Write `path` with the suffixes .png and .pdf (vectors, TrueType fonts).

    The folder is made if it is missing. Readers see a whole file or none.
    """
    for suffix in _METADATA:
        with atomic_path(path.with_name(f"{path.name}.{suffix}")) as temporary:
            temporary.write_bytes(_bytes(fig, suffix, dpi))


def _bytes(fig: Figure, suffix: str, dpi: int) -> bytes:
    buffer = BytesIO()
    # publishers refuse matplotlib's default, Type 3 fonts; a PNG has no fonts
    with rc_context({"pdf.fonttype": 42}):
        fig.savefig(buffer, format=suffix, dpi=dpi, metadata=_METADATA[suffix])
    return buffer.getvalue()
