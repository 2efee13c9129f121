"""The table of pseudo boxes: one row for each frame of a video that has a sparse box."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path
from socl_pipeline.pseudo_boxes.making import SnippetBoxes

_NAME = pa.dictionary(pa.int32(), pa.string())

SCHEMA = pa.schema(
    [
        pa.field("video", _NAME, metadata={"unit": "name"}),
        pa.field("frame", pa.int32(), metadata={"unit": "0-based index in the video"}),
        *(
            pa.field(c, pa.float32(), metadata={"unit": "px, 0-based; null without a box"})
            for c in "xywh"
        ),
        pa.field(
            "confidence", pa.float32(), metadata={"unit": "at most 1; null where it is unknown"}
        ),
        pa.field("failure", pa.bool_(), metadata={"unit": "a tracker was moved to the click"}),
        pa.field("source", _NAME, metadata={"unit": "where the box is from; see docs"}),
    ]
)

# What a snippet's piece has besides: the reason why a frame cannot be read, and the clock, which
# is no part of the result. Names are plain: dictionaries of many pieces would have to be unified.
PIECE_SCHEMA = pa.schema(
    [
        *(pa.field(f.name, pa.string()) if f.type == _NAME else f for f in SCHEMA),
        pa.field("problem", pa.string()),
        pa.field("seconds", pa.float64()),
    ]
)


def piece_table(
    video: str, first: int, found: SnippetBoxes, problems: Sequence[str | None]
) -> pa.Table:
    """Return the rows of a snippet, whose frames begin with `first`, as PIECE_SCHEMA."""
    n = len(found.boxes)
    columns = [
        pa.array([video] * n, pa.string()),
        pa.array(np.arange(first, first + n), pa.int32()),
        *(_or_null(found.boxes[:, i]) for i in range(4)),
        _or_null(found.confidence),
        pa.array(found.failed),
        pa.array(found.source, pa.string()),
        pa.array(problems, pa.string()),
        pa.array(np.full(n, found.seconds / n)),
    ]
    return pa.Table.from_arrays(columns, schema=PIECE_SCHEMA)


def _or_null(values: NDArray[np.floating]) -> pa.Array:
    return pa.array(values.astype(np.float32), pa.float32(), mask=np.isnan(values))


def write_piece(path: Path, table: pa.Table) -> None:
    """Write rows of PIECE_SCHEMA so that readers see all of them or none."""
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary)


def read_pieces(paths: Sequence[Path]) -> pa.Table:
    """Return the rows of pieces, in the order of the files."""
    return pa.concat_tables([pq.read_table(path, schema=PIECE_SCHEMA) for path in paths])


def published(pieces: pa.Table) -> pa.Table:
    """Return rows of PIECE_SCHEMA as those of SCHEMA."""
    plain = pieces.select(SCHEMA.names).combine_chunks()
    return plain.cast(SCHEMA).unify_dictionaries()


def read_pseudo_boxes(path: Path, video: str | None = None) -> pa.Table:
    """Read a table of pseudo boxes, or the rows of a video. Raises InputError if it is none."""
    chosen = None if video is None else pc.field("video") == video
    try:
        return pq.read_table(path, schema=SCHEMA, filters=chosen)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(f"{path}: not a readable table of pseudo boxes ({error})") from None


def read_video_boxes(path: Path, video: str) -> dict[int, NDArray[np.floating]]:
    """Return the boxes (4,) of a video by frame; frames without one are not among them.

    Raises InputError if the file is no table of pseudo boxes.
    """
    table = read_pseudo_boxes(path, video)
    table = table.filter(pc.is_valid(table["x"]))
    boxes = np.stack([table[c].to_numpy().astype(np.float64) for c in "xywh"], axis=1)
    return dict(zip(table["frame"].to_pylist(), boxes, strict=True))
