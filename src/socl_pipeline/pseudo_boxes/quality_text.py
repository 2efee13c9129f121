"""The figures of `box_quality` as Markdown and CSV."""

from collections.abc import Sequence
from math import isfinite

from socl_pipeline.pseudo_boxes.quality import MEASURES, Measured
from socl_pipeline.statistics import Estimate
from socl_pipeline.tables.text import Grid, csv_field, csv_text, markdown_rows

COMPARED = ("iou", "above_50", "above_75", "error_px")
"""The measures whose difference from the control is given: a control has no failures."""

_DIGITS = {"error_px": 2, "failures": 1}


def quality_markdown(
    dataset: str, entries: Sequence[Measured], control: Measured | None, boxed: int
) -> str:
    """Return the table of all entries, and their differences from the control.

    boxed: frames with a sparse box, which are not measured.
    """
    first = entries[0]
    videos = len(set(first.videos.tolist()))
    parts = [
        f"# Pseudo boxes of {dataset}",
        f"On {len(first.videos)} frames of {videos} videos that have a true box and no sparse box; "
        f"the {boxed} sparse boxes are the annotation itself and are not counted.",
        "\n".join(markdown_rows(quality_grid(entries))),
    ]
    others = [e for e in entries if e is not control]
    if control is not None and others and isfinite(others[0].estimate("iou").low):
        parts += [
            f"Differences from `{control.name}`, frame by frame, with 95 % intervals (videos drawn "
            "with replacement):",
            "\n".join(markdown_rows(_difference_grid(others, control))),
        ]
    return "\n\n".join(parts) + "\n"


def quality_grid(entries: Sequence[Measured]) -> Grid:
    """Return one row for each entry with the means of its measures and the tracker's speed."""
    header = ("", *MEASURES.values(), "tracker, s/frame", "cost, s/frame")
    rows = [
        (
            e.name,
            *(_shown(m, float(e.values[m].mean())) for m in MEASURES),
            f"{e.seconds:.3f}",
            f"{e.cost:.2f}",
        )
        for e in entries
    ]
    return Grid("", header, tuple(rows))


def _difference_grid(entries: Sequence[Measured], control: Measured) -> Grid:
    rows = [(e.name, *(_interval(m, e.estimate(m, control)) for m in COMPARED)) for e in entries]
    return Grid("", ("", *(MEASURES[m] for m in COMPARED)), tuple(rows))


def _interval(measure: str, d: Estimate) -> str:
    digits = _DIGITS.get(measure, 3)
    return f"{d.mean:+z.{digits}f} [{d.low:+z.{digits}f}, {d.high:+z.{digits}f}]"


def _shown(measure: str, value: float) -> str:
    return f"{value:.{_DIGITS.get(measure, 3)}f}"


def quality_csv(entries: Sequence[Measured], control: Measured | None) -> str:
    """Return one line for each entry and measure: mean, interval, and those of the difference."""
    lines: list[Sequence[str]] = [
        (
            "entry",
            "measure",
            "mean",
            "low",
            "high",
            "control",
            "difference",
            "diff_low",
            "diff_high",
        )
    ]
    for e in entries:
        for m in MEASURES:
            own = e.estimate(m)
            compared = control is not None and e is not control
            gap = e.estimate(m, control) if compared else None
            fields = (
                *(e.name, m, own.mean, own.low, own.high),
                *((control.name, gap.mean, gap.low, gap.high) if control and gap else [None] * 4),
            )
            lines.append([csv_field(v) for v in fields])
        lines.append([e.name, "seconds_per_frame", csv_field(e.seconds), *[""] * 6])
    return csv_text(lines)


def videos_csv(entries: Sequence[Measured], names: Sequence[str]) -> str:
    """Return one line for each video and entry. names: of the videos, by their number."""
    lines: list[Sequence[str]] = [("video", "frames", "entry", *MEASURES)]
    numbers = sorted(set(entries[0].videos.tolist()))
    means = {e.name: [e.by_video(m).tolist() for m in MEASURES] for e in entries}
    for i, number in enumerate(numbers):
        frames = int((entries[0].videos == number).sum())
        for e in entries:
            figures = (csv_field(column[i]) for column in means[e.name])
            lines.append([names[number], str(frames), e.name, *figures])
    return csv_text(lines)
