"""Stage `table`: variants of datasets, models and trackers, and the tables that compare them.

The tables of the paper and what they need are data in `socl_pipeline/tables/paper.yaml`; a config
adds its own in the same form.
"""

from functools import lru_cache
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from socl_pipeline.settings.errors import nearest
from socl_pipeline.settings.section import Name, OwnName, Section

Delta = dict[str, Any]
Metric = Literal[
    "auc",
    "precision",
    "norm_precision",
    "mean_iou",
    "ao",
    "sr_50",
    "sr_75",
    "eao",
    "accuracy",
    "robustness",
    "failures",
    "reliability",
]
"""A figure that a protocol gives (`benchmarks.protocols.METRICS`)."""
TrackerRole = Literal["siam", "cf", "transt"]
Scheme = Literal["boxes", "points", "mixed"]
HOURS, COSTS = "hours", "costs"


class VariantSettings(Section):
    """Named changes: `BASE__VARIANT` is the entry BASE with the variant's values laid over it."""

    datasets: dict[OwnName, Delta] = Field({}, description="Values laid over a dataset's.")
    models: dict[OwnName, Delta] = Field(
        {}, description="Values laid over a model's; a new `kind` keeps the keys that it shares."
    )
    trackers: dict[OwnName, Delta] = Field(
        {}, description="Values laid over a tracker's, also where a model variant has the name."
    )


class ColumnSettings(Section):
    """One column of a table, or the point of a curve: what it changes."""

    label: str
    x: float | None = Field(None, description="Where it lies on the axis of a figure.")
    dataset: Name | None = Field(None, description="Variants of the dataset: `boxes__budget1`.")
    model: Name | None = Field(
        None, description="Variants of the model, or of the tracker that runs on it."
    )


class RowSettings(ColumnSettings):
    """One row of a table, or a curve: what it changes, before its columns do."""

    tracker: TrackerRole = Field(
        "siam",
        description="Which tracker it varies: `tables.tracker`, `tables.cf_tracker` or "
        "`tables.transt_tracker`. A config without one of the latter leaves such rows out.",
    )
    columns: tuple[ColumnSettings, ...] | None = Field(
        None, description="Instead of the table's; an empty list: one figure for the whole row."
    )
    printed: bool = Field(False, description="Of the paper alone: nothing of ours belongs there.")
    scheme: Scheme | None = Field(
        None, description="Of annotation, in a table whose columns are costs."
    )


class PaperFigures(Section):
    """What the paper printed, by row."""

    benchmark: str
    metric: str
    columns: tuple[str, ...] = Field((), description="Of each row's figures; none: one a row.")
    rows: dict[str, tuple[float | None, ...]]

    @model_validator(mode="after")
    def _one_figure_a_column(self) -> "PaperFigures":
        for row, values in self.rows.items():
            if len(values) != (len(self.columns) or 1):
                raise ValueError(
                    f"row {row!r} must have a figure for each of {len(self.columns)} columns "
                    f"(null where none is printed), or one if there are none, not {len(values)}"
                )
        return self


class TableSettings(Section):
    """A table or figure: rows, columns, and what the paper says."""

    title: str
    note: str = Field("", description="Said below the table.")
    axis: str = Field("", description="What the columns are.")
    columns: tuple[ColumnSettings, ...] | Literal["hours", "costs"] = Field(
        (),
        description="hours: one column for each of `tables.hours`. costs: hours and fees of each "
        "row's scheme of annotation (section `costs`), and nothing is trained.",
    )
    rows: tuple[RowSettings, ...] = Field(min_length=1)
    reference: str | None = Field(
        None,
        description="Label of the row that the others are compared with, column by column, or all "
        "with its single figure; none: the first. Without it a single row, and rows with columns "
        "of their own, are compared within themselves: with the unchanged model, or else with "
        "the first column.",
    )
    metrics: tuple[Metric, ...] = Field(
        ("auc",),
        min_length=1,
        description="A benchmark shows those among the first figures of its protocol; where there "
        "is none, the one that ranks trackers (VOT: EAO).",
    )
    curves: bool = Field(False, description="Draw curves over the axis instead of a table.")
    paper: tuple[PaperFigures, ...] = ()

    @model_validator(mode="after")
    def _known_reference(self) -> "TableSettings":
        labels = [row.label for row in self.rows]
        if self.reference is not None and self.reference not in labels:
            raise ValueError(
                f"reference must be the label of a row, not {self.reference!r}"
                f"{nearest(self.reference, labels)}"
            )
        return self

    @model_validator(mode="after")
    def _schemes_where_costs_are(self) -> "TableSettings":
        for row in self.rows:
            if (row.scheme is not None) != (self.columns == COSTS):
                raise ValueError(
                    f"row {row.label!r}: a scheme of annotation belongs to each row of a table "
                    "with `columns: costs`, and to no other"
                )
        return self


class TablesSettings(Section):
    """Stage `table`: what the tables compare."""

    model: OwnName | None = Field(None, description="In `models`; none: the first of kind socl.")
    tracker: OwnName | None = Field(
        None, description="In `trackers`; none: the first of kind siamfc on that model."
    )
    cf_tracker: OwnName | None = Field(
        None, description="In `trackers`; none: the first of kind eco on a model, if there is one."
    )
    transt_tracker: OwnName | None = Field(
        None, description="The same of kind transt, which Tables 5 and 7 vary."
    )
    dataset: OwnName | None = Field(None, description="Of `snakemake table_1`; none: the first.")
    benchmarks: tuple[OwnName, ...] | None = Field(
        None, min_length=1, description="None: all that are scored."
    )
    seeds: int = Field(
        1,
        ge=1,
        description="Every model is trained with so many seeds, from its own on: mean and spread.",
    )
    hours: tuple[float, ...] = Field(
        (110, 220, 440, 880),
        min_length=1,
        description="Annotation budgets (paper 4.3): `budget1` is the first.",
    )
    train: tuple[OwnName, ...] | Literal["all"] = Field(
        (),
        description="Tables that `snakemake tables` may train models for; it builds the others "
        "where every model is trained already, or is one of the config's own.",
    )
    own: dict[OwnName, TableSettings] = Field(
        {}, description="Tables of your own; one of a known name takes its place."
    )


class PaperBenchmark(Section):
    """A benchmark that the paper has figures on."""

    manifest: Name = Field(description="Its name, as in `data_manifests`.")
    split: str | None = Field(None, description="Of the benchmark; none: whichever.")
    withheld: bool = Field(False, description="Its truth is on a server, which scores trackers.")


class PackagedTables(Section):
    """The content of `tables/paper.yaml`.

    benchmarks: by the names that the paper's figures give them.
    """

    benchmarks: dict[str, PaperBenchmark]
    variants: VariantSettings
    tables: dict[OwnName, TableSettings]


@lru_cache(maxsize=1)
def packaged_tables() -> PackagedTables:
    """Return the tables of the paper and the variants that they compare."""
    text = resources.files("socl_pipeline.tables").joinpath("paper.yaml").read_text("utf-8")
    return PackagedTables.model_validate(yaml.safe_load(text))
