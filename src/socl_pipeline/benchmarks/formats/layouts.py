"""The layouts: where a toolkit keeps a sequence's boxes and times, and what it counts from.

Sources of each are in docs/interchange.md.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.benchmarks.formats.text import (
    box_lines,
    read_boxes,
    read_text,
    read_times,
    time_lines,
)
from socl_pipeline.benchmarks.formats.vot import read_trajectory, trajectory_lines
from socl_pipeline.benchmarks.tracks import INITIALISED, SKIPPED, TRACKED, Run
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import write_atomic
from socl_pipeline.settings.trackers import FormatName

Shape = Literal["flat", "folders", "vot"]
COUNTED_FROM_1 = ("otb", "uav123", "lasot", "vot")  # layouts of datasets whose files do
# LaSOT gives monkey-17 fewer boxes than frames, and trackers run on over all frames
RUN_ON = {"monkey-17"}


@dataclass(frozen=True)
class Format:
    """How a toolkit lays out its result files.

    shape: flat (NAME.txt), folders (NAME/NAME_001.txt, NAME/NAME_time.txt) or vot (as folders,
    with codes, below the experiment). base: 0 or 1, what pixels are counted from. decimals: of a
    written number; None: as many as tell it from all others.
    """

    name: FormatName
    shape: Shape
    base: int
    decimals: int | None
    times: bool = True


def format_of(name: FormatName, layout: str, resets: bool, base: int | None = None) -> Format:
    """Return a format as it is for a benchmark.

    layout: of the benchmark's manifest, and resets: whether it is scored with VOT's restarts; the
    shape of pysot's files depends on them. base: other than the format's own.
    """
    own = _PLAIN[name] if name != "pysot" else _pysot(layout, resets)
    return own if base is None else Format(own.name, own.shape, base, own.decimals, own.times)


_PLAIN = {
    found.name: found
    for found in (
        Format("otb", "flat", base=1, decimals=4),
        Format("got10k", "folders", base=0, decimals=3),
        Format("trackingnet", "flat", base=0, decimals=3, times=False),
        Format("lasot", "flat", base=1, decimals=4),
        Format("vot", "vot", base=1, decimals=4),
    )
}


def _pysot(layout: str, resets: bool) -> Format:
    """Return pysot's format: boxes count as the benchmark's own files do."""
    base = int(layout in COUNTED_FROM_1)
    if resets:
        return Format("pysot", "vot", base, decimals=4, times=False)
    if layout == "got10k":
        return Format("pysot", "folders", base, decimals=None)
    return Format("pysot", "flat", base, decimals=None, times=False)


@dataclass(frozen=True)
class ResultFolder:
    """The folder of one tracker's results on one benchmark.

    resets: whether VOT's files hold restarts (experiment baseline) or one pass (unsupervised).
    """

    folder: Path
    format: Format
    resets: bool = False

    def find(self, name: str) -> list[Path]:
        """Return the files with a sequence's boxes, one a repetition; none: it is missing.

        Toolkits write the names of OTB's targets in several ways (Jogging.1, Jogging-1,
        jogging_1): a name that differs only so is found, too.
        """
        written = name if name in self._names else self._alike.get(_plain(name))
        return self._repetitions(written) if written else []

    def read(self, name: str, frames: int) -> list[Run]:
        """Return a sequence's repetitions.

        Raises InputError if there is none, that names the file and line that is wrong, or if
        restarts are wanted of a format that has none.
        """
        if self.resets and self.format.shape != "vot":
            raise InputError(
                f"{self.folder}: files of format {self.format.name} hold one pass, and VOT's "
                "protocol restarts trackers; take format vot or pysot, or score them under "
                "protocol ope"
            )
        files = self.find(name)
        if not files:
            raise InputError(f"{self.expected(name)}: no results of sequence {name}")
        if self.format.shape == "vot":
            runs = [read_trajectory(path, frames, self.format.base) for path in files]
        else:
            runs = [_one_pass(self._boxes(path, name, frames)) for path in files]
        seconds = self._read_seconds(files, frames)
        return [replace(run, seconds=s) for run, s in zip(runs, seconds, strict=True)]

    def write(self, name: str, runs: Sequence[Run]) -> None:
        """Write a sequence's repetitions; a flat layout has a place for the first one only.

        Raises InputError if the tracker was restarted and the format cannot say so.
        """
        for path, text in self.texts(name, runs).items():
            write_atomic(self.folder / path, text)

    def texts(self, name: str, runs: Sequence[Run]) -> dict[str, str]:
        """Return the content of a sequence's files by path below the folder; see `write`."""
        form = self.format
        kept = runs[:1] if form.shape == "flat" else runs
        if form.shape == "vot":
            pieces = [trajectory_lines(run, form.base, form.decimals) for run in kept]
        else:
            self._refuse_restarts(name, kept)
            pieces = [box_lines(run.boxes, form.base, form.decimals) for run in kept]
        texts = {self._path(name, i): _joined(lines) for i, lines in enumerate(pieces, start=1)}
        if form.times and not any(np.isnan(run.seconds).all() for run in kept):
            texts[self._time_path(name)] = _joined(time_lines([run.seconds for run in kept]))
        return texts

    def expected(self, name: str) -> Path:
        """Return where a sequence's first repetition should be."""
        return self.folder / self._path(name, 1)

    def require(self) -> None:
        """Raise InputError unless the folder is there."""
        if not self.folder.is_dir():
            raise InputError(
                f"{self.folder}: no such folder of results, though the config names it"
            )

    def files(self) -> list[Path]:
        """Return all result files, boxes and times, sorted."""
        self.require()
        boxes = (path for name in self._names for path in self._repetitions(name))
        times = (path for name in self._names for path in self._time_files(name))
        return sorted({*boxes, *times})

    @property
    def _below(self) -> Path:
        return self.folder / self._experiment if self._experiment else self.folder

    @property
    def _experiment(self) -> str:
        if self.format.shape != "vot":
            return ""
        return "baseline" if self.resets else "unsupervised"

    @cached_property
    def _names(self) -> tuple[str, ...]:
        """The sequences that have files; the folder is looked through once."""
        if not self._below.is_dir():
            return ()
        if self.format.shape == "flat":
            found = (p.stem for p in self._below.glob("*.txt"))
        else:
            found = (p.name for p in self._below.iterdir() if p.is_dir())
        return tuple(sorted(found))

    @cached_property
    def _alike(self) -> dict[str, str]:
        """The sequences by their plain names, but for those that two sequences share."""
        plain = [_plain(name) for name in self._names]
        return {p: n for p, n in zip(plain, self._names, strict=True) if plain.count(p) == 1}

    def _path(self, name: str, repetition: int) -> str:
        if self.format.shape == "flat":
            return f"{name}.txt"
        experiment = f"{self._experiment}/" if self._experiment else ""
        return f"{experiment}{name}/{name}_{repetition:03d}.txt"

    def _time_path(self, name: str) -> str:
        if self.format.shape == "flat":
            return f"times/{name}_time.txt"
        experiment = f"{self._experiment}/" if self._experiment else ""
        return f"{experiment}{name}/{name}_time.txt"

    def _repetitions(self, name: str) -> list[Path]:
        if self.format.shape == "flat":
            return [self._below / f"{name}.txt"]
        folder = self._below / name
        pattern = re.compile(re.escape(name) + r"_\d+\.(txt|bin)")
        found = sorted(p for p in folder.iterdir() if pattern.fullmatch(p.name))
        return list({p.stem: p for p in found}.values())  # of .bin and .txt the latter

    def _time_files(self, name: str) -> list[Path]:
        """Return the files with a sequence's times; the Python VOT toolkit has one a repetition."""
        together = self.folder / self._time_path(name)
        if together.is_file():
            return [together]
        if self.format.shape != "vot":
            return []
        return sorted((self._below / name).glob(f"{name}_*_time.value"))

    def _boxes(self, path: Path, name: str, frames: int) -> NDArray[np.float64]:
        return read_boxes(path, frames, self.format.base, run_on=name in RUN_ON)

    def _refuse_restarts(self, name: str, runs: Sequence[Run]) -> None:
        if self.resets or any((run.states == SKIPPED).any() for run in runs):
            raise InputError(
                f"sequence {name}: the tracker was run with restarts (VOT's protocol), which files "
                f"of format {self.format.name} cannot say; take format vot or pysot"
            )

    def _read_seconds(self, files: list[Path], frames: int) -> NDArray[np.float64]:
        """Return the seconds (repetitions, frames); NaN where unknown."""
        name = files[0].stem if self.format.shape == "flat" else files[0].parent.name
        found = self._time_files(name)
        if len(found) == 1 and found[0].suffix == ".txt":
            return read_times(found[0], frames, len(files))
        seconds = np.full((len(files), frames), np.nan)
        for i, path in enumerate(files):
            times = path.with_name(f"{path.stem}_time.value")
            if times in found:
                seconds[i] = _values(times, frames)
        return seconds


def _values(path: Path, frames: int) -> NDArray[np.float64]:
    """Return the seconds (frames,) of a `.value` file, where an empty line is a frame without."""
    values = [line.strip() or "nan" for line in read_text(path).splitlines()]
    try:
        seconds = np.array([float(v) for v in values])
    except ValueError as error:
        raise InputError(f"{path}: expected seconds, one line a frame ({error})") from None
    if len(seconds) != frames:
        raise InputError(f"{path}: {len(seconds)} lines for the {frames} frames of the sequence")
    return seconds


def _one_pass(boxes: NDArray[np.float64]) -> Run:
    """Return a pass over the boxes (n, 4) that starts on the first frame; times are unknown."""
    states = np.full(len(boxes), TRACKED, np.int8)
    states[:1] = INITIALISED
    return Run(boxes, np.full(len(boxes), np.nan), states)


def _plain(name: str) -> str:
    return re.sub(r"[-_.]", "-", name.casefold())


def _joined(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
