"""A table's results as text: grids in the paper's form, Markdown, and CSV."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from math import isfinite

from socl_pipeline.settings import PaperFigures, TableSettings
from socl_pipeline.settings.derived import derived_name, split_name
from socl_pipeline.tables.cells import Cell
from socl_pipeline.tables.results import Result, digits

NOT_COMPARABLE = (
    "The paper trained on GOT-10k; its benchmarks are named with its figures. Figures of other "
    "training data, budgets or benchmarks cannot be compared with them; the order of rows can."
)
ANY = "any"
CELL_COLUMNS = (
    *("row", "column", "x", "benchmark", "metric", "dataset", "tracker", "seed"),
    *("videos", "epochs", "steps", "value", "mean", "spread", "difference", "low", "high"),
    "reference",
)


@dataclass(frozen=True)
class Training:
    """What a run was trained on and for how long; None for an untrained network."""

    dataset: str
    videos: int | None
    steps: int | None
    epochs: int | None


@dataclass(frozen=True)
class Grid:
    """One block of a table: a title, a header, and rows of the same length."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def grids(settings: TableSettings, results: Sequence[Result]) -> list[Grid]:
    """Return the table in the paper's form, with the paper's own figures.

    Without columns: one block, rows by benchmark and metric. With them: a block for each benchmark
    and metric, rows by column, and one for each of the paper's. None if there are no figures.
    """
    if not settings.columns and not any(row.columns for row in settings.rows):
        return [_plain(settings, results)] if results or settings.paper else []
    own = [_over_axis(settings, name, found) for name, found in _blocks(results).items()]
    return own + [_paper(settings, figures) for figures in settings.paper]


def _plain(settings: TableSettings, results: Sequence[Result]) -> Grid:
    blocks = _blocks(results)
    papers = [f"paper: {p.metric} on {p.benchmark}" for p in settings.paper]
    rows = []
    for row in settings.rows:
        found = [[shown(r) for r in block if r.cell.row == row.label] for block in blocks.values()]
        printed = [_printed(p, p.rows.get(row.label, (None,))[0]) for p in settings.paper]
        rows.append((row.label, *("".join(own) for own in found), *printed))
    return Grid("", ("", *blocks, *papers), tuple(rows))


def _over_axis(settings: TableSettings, title: str, results: Sequence[Result]) -> Grid:
    columns = _columns(results)
    rows = []
    for row in settings.rows:
        found = {r.cell.column: shown(r) for r in results if r.cell.row == row.label}
        rows.append((row.label, *(found.get(c, "") for c in columns)))
    header = (settings.axis, *(ANY if c is None else c for c in columns))
    return Grid(title, header, tuple(rows))


def _columns(results: Sequence[Result]) -> list[str | None]:
    """Return the labels of all rows' columns, along the axis if they have places on it."""
    known = {r.cell.column: r.cell.x for r in results}
    if all(x is not None for column, x in known.items() if column is not None):
        return sorted(known, key=lambda c: (c is None, known[c]))
    return list(known)


def _paper(settings: TableSettings, figures: PaperFigures) -> Grid:
    columns = figures.columns or (ANY,)
    rows = tuple((row, *(_printed(figures, v) for v in vs)) for row, vs in figures.rows.items())
    title = f"The paper: {figures.metric} on {figures.benchmark}"
    return Grid(title, (settings.axis, *columns), rows)


def _blocks(results: Sequence[Result]) -> dict[str, list[Result]]:
    blocks: dict[str, list[Result]] = {}
    for result in results:
        blocks.setdefault(f"{result.label} on {result.benchmark}", []).append(result)
    return blocks


def shown(result: Result) -> str:
    """Return a result as the table shows it: 61.2, or 61.2 ± 0.8 over seeds."""
    decimals = digits(result.metric)
    spread = "" if result.spread is None else f" ± {result.spread:.{decimals}f}"
    return f"{result.mean:.{decimals}f}{spread}"


def _printed(figures: PaperFigures, value: float | None) -> str:
    """Return one of the paper's figures with as many digits as it prints: EAO is a share."""
    if value is None:
        return ""
    return f"{value:.3f}" if figures.metric == "EAO" else f"{value:.1f}"


def markdown(
    settings: TableSettings,
    blocks: Sequence[Grid],
    results: Sequence[Result] = (),
    *,
    made: str = "",
    missing: Sequence[str] = (),
    remarks: Sequence[str] = (),
) -> str:
    """Return the table as Markdown: the blocks, what they were made from, and differences.

    made: sentences that say what ours were made from. missing: what the table lacks, and what
    would mend it. remarks: more sentences below the figures.
    """
    parts = [f"# {settings.title}"]
    for grid in blocks:
        if grid.title:
            parts.append(f"**{grid.title}**")
        parts.append("\n".join(markdown_rows(grid)))
    parts += [settings.note] if settings.note else []
    parts += ["\n".join(f"- {remark}" for remark in remarks)] if remarks else []
    parts += [made] if made else []
    parts += [NOT_COMPARABLE] if settings.paper and results else []
    if missing:
        parts += ["What is missing:", "\n".join(f"- {sentence}" for sentence in missing)]
    # one sequence says nothing about others
    compared = [r for r in results if r.difference is not None and isfinite(r.difference.low)]
    if compared:
        what = _compared_with(compared)
        parts.append(f"Differences {what}, with 95 % intervals (sequences drawn in pairs):")
        parts.append("\n".join(map(_difference, compared)))
    return "\n\n".join(parts) + "\n"


def markdown_rows(grid: Grid) -> Iterator[str]:
    """Yield the lines of a block as a Markdown table."""
    yield "| " + " | ".join(grid.header) + " |"
    yield "|---|" + "---:|" * (len(grid.header) - 1)
    for row in grid.rows:
        yield "| " + " | ".join(row) + " |"


def made_from(
    results: Sequence[Result], sequences: Mapping[str, int], trainings: Sequence[Training]
) -> str:
    """Return the sentence that says what the figures are of; there must be some.

    sequences: how many each benchmark has. trainings: of every run.
    """
    seeds = len(results[0].cell.trackers)
    trained = [t for t in trainings if t.steps is not None]
    datasets = ", ".join(f"`{d}`" for d in dict.fromkeys(_unbudgeted(t.dataset) for t in trained))
    benchmarks = ", ".join(f"`{b}` ({_sequences(n)})" for b, n in sequences.items())
    over = f"mean ± standard deviation over {seeds} seeds" if seeds > 1 else "one seed"
    lengths = ", ".join(
        f"{_range([getattr(t, unit) for t in trained])} {unit}"
        for unit in ("videos", "epochs", "steps")
    )
    training = f"trained on {datasets} ({lengths})" if trained else "untrained"
    unit = "in percent, EAO in [0, 1]" if any(r.metric == "eao" for r in results) else "in percent"
    return f"Ours, {unit}: {over}; {training}; evaluated on {benchmarks}."


def _sequences(count: int) -> str:
    return "1 sequence" if count == 1 else f"{count} sequences"


def _unbudgeted(dataset: str) -> str:
    """Return a dataset's name without its budget, which the columns say."""
    base, variants = split_name(dataset)
    return derived_name(base, *(v for v in variants if not v.startswith("budget")))


def _range(values: Sequence[int | None]) -> str:
    known = [v for v in values if v is not None]
    if not known:
        return "?"
    return f"{min(known)}" if min(known) == max(known) else f"{min(known)} to {max(known)}"


def _compared_with(results: Sequence[Result]) -> str:
    """Return what the differences of results are to."""
    pairs = {(r.cell.row, r.reference): r.reference for r in results if r.reference}
    own = {base.row: base.column for (row, _), base in pairs.items() if row == base.row}
    if not own:
        base = next(iter(pairs.values()))
        return f"to `{base.row}`" + ("" if base.column is None else " in the same column")
    if len(own) == 1:
        return f"to `{next(iter(own.values()))}`"
    return f"within each row ({', '.join(f'to `{c}` of {row}' for row, c in own.items())})"


def _difference(result: Result) -> str:
    d = result.difference
    assert d is not None
    return (
        f"- {result.label} on {result.benchmark}, {_place(result.cell)}: "
        f"{d.mean:+.1f} [{d.low:+.1f}, {d.high:+.1f}]"
    )


def _place(cell: Cell) -> str:
    return ", ".join(filter(None, (cell.row, cell.column)))


def table_csv(blocks: Sequence[Grid]) -> str:
    """Return the blocks as one CSV: what the figures are, the row, and a column for each column.

    The spread over seeds, where there is one, is in a row of its own below.
    """
    columns = list(dict.fromkeys(c for g in blocks for c in g.header[1:]))
    lines: list[list[str]] = [["figures", "row", *columns]]
    for grid in blocks:
        for label, *texts in grid.rows:
            found = dict(zip(grid.header[1:], texts, strict=True))
            parts = {c: found.get(c, "").partition(" ± ") for c in columns}
            lines.append([grid.title, label, *(parts[c][0] for c in columns)])
            if any(p[2] for p in parts.values()):
                spread = [parts[c][2] for c in columns]
                lines.append([grid.title, f"{label}: standard deviation", *spread])
    return csv_text(lines)


def cells_csv(results: Sequence[Result], trainings: Mapping[str, Training]) -> str:
    """Return one line for each run's score: where it stands, what it is of, and its value.

    trainings: by the role of a run. The mean, spread and difference are of the run's cell;
    `reference` is the cell that it is compared with.
    """
    lines: list[Sequence[str]] = [CELL_COLUMNS]
    for r in results:
        c, d = r.cell, r.difference
        base = _place(r.reference) if r.reference else None
        gap = (d.mean, d.low, d.high, base) if d else (None, None, None, None)
        for seed, tracker, value in zip(c.seeds, c.trackers, r.seeds, strict=True):
            t = trainings[c.role(r.benchmark, tracker)]
            place = (c.row, c.column, c.x, r.benchmark, r.metric, c.dataset, tracker, seed)
            figures = (float(value), r.mean, r.spread, *gap)
            lines.append([csv_field(v) for v in (*place, t.videos, t.epochs, t.steps, *figures)])
    return csv_text(lines)


def csv_field(value: object) -> str:
    """Return a value as it stands in a CSV, empty for None."""
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def csv_text(lines: Sequence[Sequence[str]]) -> str:
    """Return lines of fields as the text of a CSV file."""
    stream = StringIO()
    csv.writer(stream, lineterminator="\n").writerows(lines)
    return stream.getvalue()
