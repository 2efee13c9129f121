"""What a table needs: for each of its cells a dataset and the trackers of all seeds."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from socl_pipeline.benchmarks.withheld import is_withheld, scored_benchmarks, why_not_scored
from socl_pipeline.errors import InputError
from socl_pipeline.settings import ColumnSettings, Config, RowSettings, TableSettings
from socl_pipeline.settings.derived import derived_name, is_outline, simplest
from socl_pipeline.settings.tables import COSTS, HOURS, TrackerRole

_KINDS: dict[TrackerRole, str] = {"siam": "siamfc", "cf": "eco", "transt": "transt"}


@dataclass(frozen=True)
class Cell:
    """One figure of a table: where it stands, and the runs whose scores it is the mean of.

    column: its label, None where a row has a single figure; x: its place on a figure's axis.
    trackers: one for each of the seeds; runs that are equal have the same names, in every table.
    """

    row: str
    column: str | None
    x: float | None
    dataset: str
    trackers: tuple[str, ...]
    seeds: tuple[int, ...] = (0,)

    def role(self, benchmark: str, tracker: str) -> str:
        """Return the name of a run's track among the inputs of stage `table`."""
        return f"{benchmark}/{self.dataset}/{tracker}"

    def plain(self) -> dict[str, Any]:
        """Return the cell as JSON has it, for a recipe that is compared with a stored one."""
        return asdict(self) | {"trackers": list(self.trackers), "seeds": list(self.seeds)}


def table_cells(config: Config, dataset: str, table: str) -> list[Cell]:
    """Return the cells of a table for a dataset, row by row.

    Rows that the config has no tracker for have none, nor has a table of costs, or an outline.
    Raises InputError for a table, variant or tracker that the config does not have.
    """
    settings = config.table(table)
    if settings.columns == COSTS or is_outline(table):
        return []
    return [
        _cell(config, dataset, tracker, row, column)
        for row in settings.rows
        if not row.printed and (tracker := _base(config, row.tracker)) is not None
        for column in _columns(config, settings, row)
    ]


def rows_without_tracker(config: Config, table: TableSettings) -> dict[str, list[str]]:
    """Return the labels of rows that the config has no tracker for, by the kind they wait for."""
    found: dict[str, list[str]] = {}
    for row in table.rows if table.columns != COSTS else ():
        if not row.printed and _base(config, row.tracker) is None:
            found.setdefault(_KINDS[row.tracker], []).append(row.label)
    return found


def unchanged_trackers(config: Config, table: TableSettings) -> list[tuple[str, ...]]:
    """Return the trackers, one for each seed, of cells that change nothing of the tracker.

    One entry for each of the trackers that the table's rows vary.
    """
    bases = [_base(config, role) for role in sorted({row.tracker for row in table.rows})]
    return [_trackers(config, base) for base in bases if base is not None]


def base_tracker(config: Config) -> str | None:
    """Return the Siamese tracker that tables vary, if the config has one."""
    tables = config.tables
    model = tables.model or next((n for n, m in config.models.items() if m.kind == "socl"), None)
    if tables.tracker is not None:
        return tables.tracker
    for name, tracker in config.trackers.items():
        if tracker.kind == "siamfc" and model is not None and tracker.model == model:
            return name
    return None


def _base(config: Config, role: TrackerRole) -> str | None:
    """Return the tracker that rows of a role vary, if the config has one."""
    if role == "siam":
        return base_tracker(config)
    named = {"cf": config.tables.cf_tracker, "transt": config.tables.transt_tracker}[role]
    return named or next(
        (
            name
            for name, tracker in config.trackers.items()
            if tracker.kind == _KINDS[role] and getattr(tracker, "model", None) is not None
        ),
        None,
    )


def table_benchmarks(config: Config) -> tuple[str, ...]:
    """Return the benchmarks that tables are scored on.

    Raises InputError if the config asks for one whose truth is withheld.
    """
    for name in config.tables.benchmarks or ():
        if is_withheld(config.benchmark(name)):
            raise InputError(f"tables.benchmarks: {why_not_scored(config, name)}")
    return config.tables.benchmarks or scored_benchmarks(config)


def _columns(
    config: Config, table: TableSettings, row: RowSettings
) -> Iterator[ColumnSettings | None]:
    columns = table.columns if row.columns is None else row.columns
    if columns == HOURS:
        for i, hours in enumerate(config.tables.hours, start=1):
            yield ColumnSettings(label=f"{hours:g} h", x=hours, dataset=f"budget{i}")
    else:
        yield from columns or (None,)  # type: ignore[misc]


def _cell(
    config: Config, dataset: str, tracker: str, row: RowSettings, column: ColumnSettings | None
) -> Cell:
    label, x = (column.label, column.x) if column else (None, None)
    source = derived_name(dataset, row.dataset, column.dataset if column else None)
    return Cell(
        row=row.label,
        column=label,
        x=x,
        dataset=simplest(config.dataset, source),
        trackers=_trackers(config, tracker, row.model, column.model if column else None),
        seeds=_seeds(config, tracker),
    )


def _trackers(config: Config, tracker: str, *variants: str | None) -> tuple[str, ...]:
    names = (derived_name(tracker, *variants, f"seed{i}") for i in _seeds(config, tracker))
    return tuple(simplest(config.tracker, name) for name in names)


def _seeds(config: Config, tracker: str) -> tuple[int, ...]:
    model = getattr(config.tracker(tracker), "model", None)
    first = config.model(model).seed if model else 0
    return tuple(range(first, first + config.tables.seeds))


def base_dataset(config: Config) -> str:
    """Return the dataset of `snakemake table_1`."""
    return config.tables.dataset or next(iter(config.datasets))
