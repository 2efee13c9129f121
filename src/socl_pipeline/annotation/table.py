"""The points table as the stages read it: one row per annotated frame, cut into shards."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from socl_pipeline.datasets.images import read_image, read_reduced, reduction
from socl_pipeline.errors import InputError


@dataclass(frozen=True)
class FrameRow:
    """One annotated frame; `point` is (2,) float64 in pixels, 0-based."""

    video: str
    frame: int
    path: Path
    width: int
    height: int
    point: NDArray[np.float64]

    def read(self) -> NDArray[np.uint8]:
        """Return the frame (H, W, 3). Raises InputError if it is broken or of another size."""
        image = read_image(self.path)
        self._check_size(image.shape[1], image.shape[0])
        return image

    def read_reduced(self, long_side: int) -> tuple[NDArray[np.uint8], float]:
        """Return the frame (h, w, 3), reduced where decoding is cheaper so, and its scale (<= 1).

        The long side is at least `long_side` if the frame's is. Box x scale lies where it belongs:
        a JPEG reduced by k maps pixel x to x / k, even where its last column, which is rounded
        up, reaches beyond the frame. Raises InputError as `read` does.
        """
        image, (width, height) = read_reduced(self.path, long_side)
        self._check_size(width, height)
        if image.shape[:2] == (height, width):
            return image, 1.0
        return image, 1 / reduction(width, height, long_side)

    def _check_size(self, width: int, height: int) -> None:
        if (width, height) != (self.width, self.height):
            raise InputError(
                f"{self.path}: {width}x{height} pixels, but its video's first "
                f"frame has {self.width}x{self.height}"
            )


def read_points(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read a points table, or some of its columns. Raises InputError if the file is not one."""
    try:
        return pq.read_table(path, columns=columns)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: not a readable points table ({error})") from None


def read_point_rows(path: Path, start: int, stop: int) -> pa.Table:
    """Read the rows start to stop - 1 of a points table, and no more of the file than it takes.

    Raises InputError if the file is not a points table.
    """
    try:
        with pq.ParquetFile(path) as file:
            sizes = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
            ends = np.cumsum(sizes)
            first = int(np.searchsorted(ends, start, side="right"))
            last = int(np.searchsorted(ends, stop, side="left"))
            table = file.read_row_groups(list(range(first, min(last + 1, len(sizes)))))
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: not a readable points table ({error})") from None
    return table.slice(start - int(sum(sizes[:first])), stop - start)


def frame_rows(table: pa.Table, root: Path) -> list[FrameRow]:
    """Return the rows of a (slice of a) points table."""
    columns = {name: table[name].to_pylist() for name in ("video", "frame", "path")}
    sizes = {name: table[name].to_numpy() for name in ("width", "height")}
    points = np.stack([table["x"].to_numpy(), table["y"].to_numpy()], axis=1).astype(np.float64)
    return [
        FrameRow(
            columns["video"][i],
            columns["frame"][i],
            root / columns["path"][i],
            int(sizes["width"][i]),
            int(sizes["height"][i]),
            points[i],
        )
        for i in range(table.num_rows)
    ]


def shard_ranges(rows: int, shard: int) -> list[tuple[int, int]]:
    """Return the (start, stop) row ranges that cut a table into shards."""
    return [(start, min(start + shard, rows)) for start in range(0, rows, shard)]


def row_of(table: pa.Table) -> dict[tuple[str, int], int]:
    """Map (video, frame) to the row of a points table."""
    keys = zip(table["video"].to_pylist(), table["frame"].to_pylist(), strict=True)
    return {key: i for i, key in enumerate(keys)}


def true_boxes(table: pa.Table) -> NDArray[np.float64]:
    """Return the sparse boxes (n, 4) of a points table, NaN on frames without one."""
    return np.stack([table[f"box_{c}"].to_numpy().astype(np.float64) for c in "xywh"], axis=1)


def video_codes(table: pa.Table) -> NDArray[np.integer]:
    """Return a number (n,) for the video of each row of a points table."""
    return np.asarray(table["video"].combine_chunks().indices.to_numpy())
