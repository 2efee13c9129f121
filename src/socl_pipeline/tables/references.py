"""Which cell of a table each other one is compared with."""

from collections.abc import Sequence

from socl_pipeline.settings import TableSettings
from socl_pipeline.tables.cells import Cell


def references(
    settings: TableSettings, cells: Sequence[Cell], unchanged: Sequence[tuple[str, ...]]
) -> dict[Cell, Cell]:
    """Return what each cell is compared with; those that nothing is comparable to are left out.

    unchanged: the trackers that change nothing of a model (`cells.unchanged_trackers`).
    """
    rows: dict[str, list[Cell]] = {}
    for cell in cells:
        rows.setdefault(cell.row, []).append(cell)
    if settings.reference is None and (len(rows) == 1 or any(r.columns for r in settings.rows)):
        return _within_rows(list(rows.values()), unchanged)
    return _to_row(rows[settings.reference or settings.rows[0].label], cells)


def _within_rows(
    rows: Sequence[Sequence[Cell]], unchanged: Sequence[tuple[str, ...]]
) -> dict[Cell, Cell]:
    """Compare the cells of a row with that of the unchanged model, or else with the first."""
    found = {}
    for row in rows:
        base = next((c for c in row if c.trackers in unchanged), row[0])
        found.update({cell: base for cell in row if cell != base})
    return found


def _to_row(reference: Sequence[Cell], cells: Sequence[Cell]) -> dict[Cell, Cell]:
    """Compare with the same column of the reference row, or all with its single figure."""
    columns = {c.column: c for c in reference}
    single = columns.get(None)
    pairs = {c: single or columns.get(c.column) for c in cells if c not in reference}
    return {cell: base for cell, base in pairs.items() if base is not None}
