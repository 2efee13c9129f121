"""Reading the packed patches, memory-mapped: no patch is copied before it is decoded.

A set of millions of patches is opened in seconds: its columns stay views of the maps, and only
frame numbers, extents and the rows of each video (16 bytes a patch) are in memory.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import simplejpeg
from numpy.typing import NDArray

from socl_pipeline.errors import InputError

Rows = Sequence[int] | NDArray[np.integer]


@dataclass(frozen=True)
class Patch:
    """One patch: image uint8 RGB (S, S, 3); boxes (K, 4), extent in patch pixels; scores (K,)."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    extent: float


@dataclass(frozen=True)
class _Chunk:
    """Views of n stored patches: boxes (n, K, 4), scores (n, K), and where each JPEG lies."""

    jpegs: NDArray[np.uint8]
    offsets: NDArray[np.int32]
    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> "_Chunk":
        """Take views of a record batch that was read from a file, so that it starts at 0."""
        _, offsets, jpegs = batch["jpeg"].buffers()
        scores = _flat(batch["scores"]).reshape(batch.num_rows, -1)
        return cls(
            np.frombuffer(jpegs, np.uint8),
            np.frombuffer(offsets, np.int32, batch.num_rows + 1),
            _flat(batch["boxes"]).reshape(*scores.shape, 4),
            scores,
        )


class PatchSet:
    """All patches of a dataset, addressed by row; `videos` maps a name to its rows in order."""

    def __init__(self, folder: Path) -> None:
        """Map the files of a patches folder. Raises InputError if there are none."""
        files = sorted(folder.glob("*.arrow"))
        tables = [_mapped(file) for file in files]
        table = pa.concat_tables(tables) if tables else None
        if not table:
            raise InputError(f"{folder}: no patches; run `socl patches`")
        self.size = int(table.schema.metadata[b"size"])
        self.frames: NDArray[np.int32] = table["frame"].to_numpy()
        self.extents: NDArray[np.float32] = table["extent"].to_numpy()
        self.videos = _rows_of_names(table["video"])
        batches = [batch for batch in table.to_batches() if batch.num_rows]
        self._chunks = [_Chunk.of(batch) for batch in batches]
        self._ends = np.cumsum([batch.num_rows for batch in batches])
        self.top_k: int = self._chunks[0].scores.shape[1]

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, row: int) -> Patch:
        image = np.empty((1, self.size, self.size, 3), np.uint8)
        self.decode([row], image)
        boxes, scores = self.boxes([row])
        return Patch(image[0], boxes[0], scores[0], float(self.extents[row]))

    def decode(self, rows: Rows, images: NDArray[np.uint8]) -> None:
        """Decode the patches of n rows into `images` (n, S, S, 3), each of them contiguous.

        Raises InputError for a patch that is not a JPEG of S x S pixels.
        """
        for (chunk, i), row, image in zip(self._places(rows), rows, images, strict=True):
            jpeg = chunk.jpegs[chunk.offsets[i] : chunk.offsets[i + 1]]
            try:
                decoded = simplejpeg.decode_jpeg(jpeg, "RGB", buffer=image)
            except ValueError:
                decoded = None
            if decoded is None or decoded.shape != image.shape:
                raise InputError(f"patch {row} cannot be decoded; rebuild the patches")

    def boxes(self, rows: Rows) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return copies of boxes (n, K, 4) in patch pixels and scores (n, K) of n rows."""
        boxes = np.empty((len(rows), self.top_k, 4), np.float32)
        scores = np.empty((len(rows), self.top_k), np.float32)
        for k, (chunk, i) in enumerate(self._places(rows)):
            boxes[k], scores[k] = chunk.boxes[i], chunk.scores[i]
        return boxes, scores

    def _places(self, rows: Rows) -> list[tuple[_Chunk, int]]:
        """Return the chunk of each row and its place in it. Raises IndexError."""
        index = np.asarray(rows, np.int64)
        if len(index) and not 0 <= index.min() <= index.max() < len(self):
            raise IndexError(f"rows {index.min()} to {index.max()} of {len(self)} patches")
        chunks = np.searchsorted(self._ends, index, side="right")
        starts = np.concatenate([[0], self._ends])[chunks]
        return [
            (self._chunks[c], i) for c, i in zip(chunks, (index - starts).tolist(), strict=True)
        ]


def _mapped(file: Path) -> pa.Table:
    """Return a table of views of a file; they keep the map, but no descriptor, open."""
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all()


def _rows_of_names(names: pa.ChunkedArray) -> dict[str, NDArray[np.int64]]:
    """Return the rows of each name, in the order in which names first appear."""
    encoded = names.combine_chunks().dictionary_encode()
    codes = encoded.indices.to_numpy()
    order = np.argsort(codes, kind="stable")
    bounds = np.flatnonzero(np.diff(codes[order])) + 1
    rows = np.split(order, bounds)
    return dict(zip(encoded.dictionary.to_pylist(), rows, strict=True))


def _flat(column: pa.Array) -> NDArray[np.float32]:
    return column.flatten().to_numpy()
