"""Tables of costs: hours and fees of ways to annotate a dataset, as in the paper's Table 4."""

from collections.abc import Sequence

from socl_pipeline.annotation.schemes import SchemeCost, cost_cells, scheme_cost
from socl_pipeline.settings import TableSettings
from socl_pipeline.settings.costs import CostSettings
from socl_pipeline.tables.text import Grid, csv_field, csv_text

COLUMNS = ("hours", "annotation fee", "training fee", "total")  # the last of `cost_cells`


def row_costs(
    settings: TableSettings, frames: int, sparse_boxes: int, prices: CostSettings
) -> list[tuple[str, SchemeCost]]:
    """Return each row's label and what its scheme costs."""
    return [
        (row.label, scheme_cost(row.scheme, frames, sparse_boxes, prices))
        for row in settings.rows
        if row.scheme is not None
    ]


def cost_grids(
    settings: TableSettings, costs: Sequence[tuple[str, SchemeCost]], dataset: str, currency: str
) -> list[Grid]:
    """Return a block of the dataset's costs, and one for each of the paper's."""
    frames = costs[0][1].frames
    cells = cost_cells([cost for _, cost in costs])
    own = Grid(
        f"{dataset}: {frames:,} frames [h, {currency}]",
        ("", *COLUMNS),
        tuple(
            (label, *texts[-len(COLUMNS) :]) for (label, _), texts in zip(costs, cells, strict=True)
        ),
    )
    paper = [
        Grid(
            f"The paper: {p.metric} on {p.benchmark}",
            ("", *p.columns),
            tuple(
                (row, *("" if v is None else f"{v:,.1f}" for v in vs)) for row, vs in p.rows.items()
            ),
        )
        for p in settings.paper
    ]
    return [own, *paper]


def costs_csv(costs: Sequence[tuple[str, SchemeCost]]) -> str:
    """Return one line for each row, with all figures of its scheme."""
    names = list(costs[0][1].plain())
    lines = [[label, *(csv_field(c.plain()[n]) for n in names)] for label, c in costs]
    return csv_text([["row", *names], *lines])
