"""Checking a local copy of a benchmark: what is missing, and what is not as it should be."""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from socl_pipeline.datasets.images import header_size
from socl_pipeline.datasets.layouts.layout import SequenceFiles, without_box
from socl_pipeline.datasets.layouts.text import parse_row, read_lines
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.datasets.video import Video, box_problem, is_frame
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.progress import Progress

THREADS = 8  # files of a network disk are waited for, not computed
SHOWN = 3  # findings of one kind and sequence that are printed


@dataclass(frozen=True)
class Finding:
    """What is wrong (fatal: trackers cannot be run or scored as it is) or merely odd."""

    kind: str
    fatal: bool
    what: str


@dataclass(frozen=True)
class SequenceCheck:
    """One sequence of a copy: its images in the official range, and what was found."""

    name: str
    images: int
    findings: tuple[Finding, ...]

    @property
    def usable(self) -> bool:
        """Whether nothing fatal was found."""
        return not any(finding.fatal for finding in self.findings)


@dataclass(frozen=True)
class CopyCheck:
    """A copy of one split of a benchmark; `findings` are those of the copy as a whole."""

    benchmark: str
    root: Path
    split: str
    findings: tuple[Finding, ...]
    sequences: tuple[SequenceCheck, ...]

    @property
    def usable(self) -> bool:
        """Whether nothing fatal was found in any sequence."""
        return all(s.usable for s in self.sequences) and not any(f.fatal for f in self.findings)

    def lines(self) -> Iterator[str]:
        """Yield the findings, their counts, and whether the copy is usable."""
        for finding in self.findings:
            yield f"{'wrong' if finding.fatal else 'odd  '}  {finding.what}"
        for sequence in self.sequences:
            for kind in dict.fromkeys(f.kind for f in sequence.findings):
                yield from _shown(sequence.name, [f for f in sequence.findings if f.kind == kind])
        yield self._counts()
        yield self._verdict()

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain data."""
        return {
            "benchmark": self.benchmark,
            "root": str(self.root),
            "split": self.split,
            "usable": self.usable,
            "findings": [asdict(f) for f in self.findings],
            "sequences": [asdict(s) | {"usable": s.usable} for s in self.sequences],
        }

    def _counts(self) -> str:
        found = (self.findings, *(s.findings for s in self.sequences))
        kinds = Counter(f.kind for findings in found for f in findings)
        counts = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
        images = sum(s.images for s in self.sequences)
        return (
            f"{self._title}: {len(self.sequences)} sequences, {images} images; "
            f"findings: {counts or 'none'}"
        )

    def _verdict(self) -> str:
        if self.usable:
            return f"{self._title}: usable"
        bad = sum(not s.usable for s in self.sequences)
        broken = f"{bad} of {len(self.sequences)} sequences are broken"
        return f"{self._title}: not usable, {broken if bad else 'it is not complete'}"

    @property
    def _title(self) -> str:
        return f"{self.benchmark} {self.split}".strip()


def splits_of(manifest: Manifest, root: Path) -> list[str]:
    """Return the splits of which a copy has the folder; one empty name where there are none.

    Raises InputError if it has none of them.
    """
    found = [name for name, split in manifest.splits.items() if (root / split.folder).is_dir()]
    if manifest.splits and not found:
        folders = ", ".join(split.folder for split in manifest.splits.values())
        raise InputError(f"{root}: none of the folders {folders} of {manifest.title} is there")
    return found or [""]


def verify_copy(dataset: Dataset) -> CopyCheck:
    """Check every sequence of a copy; images are read as far as their headers.

    A list of sequences that cannot be read is a finding, as is all that one sequence has.
    """
    findings: list[Finding] = []
    names: list[str] = []
    try:
        names = dataset.names()
        findings += _expected_number(dataset, len(names))
    except (InputError, OSError) as error:
        findings.append(Finding("list", True, str(error)))

    sequences = []
    with (
        Progress("verify", len(names), "sequences") as progress,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        for check in threads.map(lambda name: check_sequence(dataset, name), names):
            sequences.append(check)
            progress.advance()
    manifest = dataset.manifest
    split = dataset.split if manifest.splits else ""
    return CopyCheck(manifest.name, dataset.root, split, tuple(findings), tuple(sequences))


def check_sequence(dataset: Dataset, name: str) -> SequenceCheck:
    """Check one sequence of a copy: folder, numbering, images, truth, and boxes in them."""
    findings: list[Finding] = []
    images: list[Path] = []
    try:
        files = dataset.layout.files(name)
        images, findings = _images(dataset, files)
        findings += _truth(files, len(images))
        findings += _unlike_the_first(images)
        if not any(f.fatal for f in findings):
            video = dataset.read(name)
            findings += [*_labels(files, video), *_boxes(video)]
    except (InputError, OSError) as error:
        findings.append(Finding("sequence", True, str(error)))
    return SequenceCheck(name, len(images), tuple(findings))


def _expected_number(dataset: Dataset, found: int) -> Iterator[Finding]:
    split = dataset.manifest.splits.get(dataset.split)
    expected = split.sequences if split else None
    if expected is not None and dataset.only is None and found != expected:
        what = f"{dataset.layout.index}: {found} sequences, a complete copy has {expected}"
        yield Finding("list", True, what)


def _images(dataset: Dataset, files: SequenceFiles) -> tuple[list[Path], list[Finding]]:
    """Return the images of the official range, sorted, and what is wrong with their names."""
    if not files.frames.is_dir():
        return [], [Finding("folder", True, dataset.no_frames(files))]
    paths = sorted(p for p in files.frames.iterdir() if is_frame(p.name))
    if not paths:
        return [], [Finding("folder", True, f"{files.frames}: there is no image in it")]
    if files.start is None:
        return paths, []
    numbered = sorted((int(p.stem), p) for p in paths if p.stem.isdecimal())
    if files.span:  # images outside the range are no part of the sequence
        numbered = [(n, p) for n, p in numbered if files.span[0] <= n <= files.span[1]]
    return [path for _, path in numbered], list(_numbering(files, paths, [n for n, _ in numbered]))


def _numbering(files: SequenceFiles, paths: list[Path], numbers: list[int]) -> Iterator[Finding]:
    """Yield what is wrong with the sorted numbers of a sequence's images."""
    for path in paths:
        if not path.stem.isdecimal():  # harmless where a range picks the images
            yield Finding("numbering", not files.span, f"{path}: expected a number as its name")
    for n, count in Counter(numbers).items():
        if count > 1:
            yield Finding("numbering", True, f"{files.frames}: image {n} is there {count} times")
    if not files.span and numbers and numbers[0] != files.start:
        what = f"{files.frames}: images start at {numbers[0]}, those of official copies at "
        yield Finding("numbering", False, f"{what}{files.start}")
    ends = (files.span[0] - 1, files.span[1] + 1) if files.span else ()
    for before, after in pairwise(sorted([*numbers, *ends])):
        first, last = before + 1, after - 1
        if first <= last:
            missing = f"image {first} is" if first == last else f"images {first} to {last} are"
            yield Finding("numbering", True, f"{files.frames}: {missing} missing")


def _truth(files: SequenceFiles, images: int) -> Iterator[Finding]:
    """Yield broken lines of the truth, and a number of lines that does not fit."""
    if not files.columns or not (images or files.truth.exists()):
        return  # a sequence of which nothing is there has been named already
    try:
        lines = read_lines(files.truth)
    except (InputError, OSError) as error:
        yield Finding("truth", True, str(error))
        return
    for number, line in enumerate(lines, start=1):
        try:
            parse_row(files.truth, number, line, files.columns)
        except InputError as error:
            yield Finding("truth", True, str(error))
    expected = files.span[1] - files.span[0] + 1 if files.span else images
    if images and len(lines) not in (expected, *files.counts):
        origin = "of the official range" if files.span else "in the folder"
        what = f"{files.truth}: {len(lines)} lines for the {expected} images {origin}"
        yield Finding("count", True, what)


def _unlike_the_first(images: list[Path]) -> Iterator[Finding]:
    """Yield images that cannot be read, or that have another size than the first that can."""
    first: tuple[int, int] | None = None
    for path in images:
        try:
            size = header_size(path)
        except InputError as error:
            yield Finding("image", True, str(error))
            continue
        first = first or size
        if size != first:
            what = f"{path}: {size[0]}x{size[1]} pixels, the first image has {first[0]}x{first[1]}"
            yield Finding("size", True, what)


def _labels(files: SequenceFiles, video: Video) -> Iterator[Finding]:
    if video.withheld:
        return
    for path in files.labels:
        if not path.exists():
            what = f"{path}: missing; the target counts as visible in every frame"
            yield Finding("label", False, what)


def _boxes(video: Video) -> Iterator[Finding]:
    """Yield boxes that are not in their image; fatal in the first, where trackers start."""
    if np.isfinite(video.points).any():  # clicks, which the reader has looked at
        yield from (Finding("click", False, p.reason) for p in video.problems)
        return
    given = range(1 if video.withheld else len(video))
    empty = without_box(video.boxes)
    for i in given:
        if i > 0 and video.absent[i]:
            continue
        what = box_problem(video.boxes[i], video.width, video.height)
        if what:
            found = "no box of a visible target" if empty[i] else what
            yield Finding("box", i == 0, f"{video.frames[i]}: {found}")


def _shown(name: str, findings: list[Finding]) -> Iterator[str]:
    for finding in findings[:SHOWN]:
        yield f"{'wrong' if finding.fatal else 'odd  '}  {name}: {finding.what}"
    if len(findings) > SHOWN:
        yield f"       {name}: and {len(findings) - SHOWN} more of this kind"
