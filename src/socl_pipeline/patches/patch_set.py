"""Reading the packed patches, memory-mapped: no patch is copied before it is decoded."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from socl_pipeline.datasets.images import decode_image
from socl_pipeline.errors import InputError


@dataclass(frozen=True)
class Patch:
    """One patch: image uint8 RGB (S, S, 3); boxes (K, 4), extent in patch pixels; scores (K,)."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    extent: float


class PatchSet:
    """All patches of a dataset, addressed by row; `videos` maps a name to its rows in order."""

    def __init__(self, folder: Path) -> None:
        """Map the files of a patches folder. Raises InputError if there are none."""
        files = sorted(folder.glob("*.arrow"))
        if not files:
            raise InputError(f"{folder}: no patches; run `socl patches`")
        # read_all keeps the buffers of the map: the table is views, not copies
        tables = [pa.ipc.open_file(pa.memory_map(str(file))).read_all() for file in files]
        self._table = pa.concat_tables(tables)
        self._jpeg = self._table["jpeg"]
        self.size = int(tables[0].schema.metadata[b"size"])
        self.frames = self._table["frame"].to_numpy()
        self.extents = self._table["extent"].to_numpy()
        self.videos: dict[str, list[int]] = {}
        for row, name in enumerate(self._table["video"].to_pylist()):
            self.videos.setdefault(name, []).append(row)

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def __getitem__(self, row: int) -> Patch:
        image = decode_image(np.frombuffer(self._jpeg[row].as_buffer(), np.uint8))
        if image is None:
            raise InputError(f"patch {row} cannot be decoded; rebuild the patches")
        record = self._table.slice(row, 1)
        scores = _flat(record["scores"])
        return Patch(
            image=image,
            boxes=_flat(record["boxes"]).reshape(len(scores), 4),
            scores=scores,
            extent=float(record["extent"][0].as_py()),
        )


def _flat(column: pa.ChunkedArray) -> NDArray[np.float32]:
    return column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
