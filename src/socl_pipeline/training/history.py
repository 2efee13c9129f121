"""What a run has measured so far: one row a step, fetched from the device now and then."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor

from socl_pipeline.pipeline.artifact import atomic_path

Row = dict[str, float]


class History:
    """Rows of numbers by column; those of the last steps may still lie on the device."""

    def __init__(self, columns: Mapping[str, Tensor] | None = None) -> None:
        """Begin empty, or with the columns of a checkpoint."""
        self._columns = {name: values.tolist() for name, values in (columns or {}).items()}
        self._pending: list[tuple[Row, dict[str, Tensor]]] = []

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    @property
    def pending(self) -> int:
        """How many rows have not been fetched."""
        return len(self._pending)

    def add(self, known: Row, measured: dict[str, Tensor]) -> None:
        """Append a row: numbers, and scalars that may still be being computed."""
        self._pending.append((known, measured))

    def fetch(self) -> list[Row]:
        """Wait for the pending rows, keep and return them; a GPU is waited for once, not by row."""
        if not self._pending:
            return []
        names = list(self._pending[0][1])
        scalars = [measured[name].float() for _, measured in self._pending for name in names]
        numbers = torch.stack(scalars).reshape(-1, len(names)).tolist()
        rows = [
            known | dict(zip(names, values, strict=True))
            for (known, _), values in zip(self._pending, numbers, strict=True)
        ]
        self._pending = []
        for row in rows:
            for name, value in row.items():
                self._columns.setdefault(name, []).append(value)
        return rows

    def column(self, name: str, last: int | None = None) -> list[float]:
        """Return a column's values, or the last few; empty if there is none of that name."""
        values: list[float] = self._columns.get(name, [])
        return values if last is None else values[-last:]

    def rows(self) -> Iterator[Row]:
        """Yield the rows that were fetched."""
        for values in zip(*self._columns.values(), strict=True):
            yield dict(zip(self._columns, values, strict=True))

    def columns(self) -> dict[str, Tensor]:
        """Return the columns as tensors, for a checkpoint."""
        return {n: torch.tensor(v, dtype=torch.float64) for n, v in self._columns.items()}

    def write(self, path: Path) -> None:
        """Write all rows to a Parquet file, at once or not at all."""
        integers = ("step", "epoch")
        table = {n: list(map(int, v)) if n in integers else v for n, v in self._columns.items()}
        with atomic_path(path) as temporary:
            pq.write_table(pa.table(table), temporary)


def first_not_finite(rows: list[Row]) -> Row | None:
    """Return the first row whose loss or gradient is not a finite number."""
    return next((r for r in rows if not math.isfinite(r["loss"] + r["gradient"])), None)
