"""Archives for evaluation servers: what must be in them, checked before and after writing."""

import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from socl_pipeline.benchmarks.formats.layouts import ResultFolder, format_of
from socl_pipeline.benchmarks.formats.text import BOX, parse_rows
from socl_pipeline.benchmarks.tracks import Run
from socl_pipeline.errors import InputError
from socl_pipeline.pipeline.artifact import atomic_path

ServerName = Literal["got10k", "trackingnet"]
Expected = Mapping[str, int]
"""Frames of each sequence that a server scores."""

REPETITIONS = (1, 3)  # GOT-10k: one for a deterministic tracker, else three (its toolkit)
EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest that zip knows: equal results give equal archives
ENCRYPTED = 1  # of an entry's flags (PKWARE's APPNOTE, 4.4.4)
SHOWN = 10


@dataclass(frozen=True)
class Server:
    """What an evaluation server takes.

    sequences: how many it scores. check: yields what is wrong with an archive's files, given by
    path, where the frames of each sequence are known or None.
    """

    name: ServerName
    title: str
    sequences: int
    check: Callable[[Mapping[str, str], Expected | None], Iterator[str]]


def write_archive(server: Server, runs: Mapping[str, Sequence[Run]], output: Path) -> None:
    """Write the archive that a server takes.

    Raises InputError, and writes nothing, if the server would refuse it: see `problems`.
    """
    form = format_of(server.name, server.name, resets=False)
    folder = ResultFolder(output, form)
    for name, found in runs.items():
        for run in found:
            _refuse_lost(name, run)
    texts: dict[str, str] = {}
    for name, found in runs.items():
        texts |= folder.texts(name, found)
    expected = {name: len(found[0].boxes) for name, found in runs.items()}
    raise_problems(output, server, problems(server, texts, expected))
    with atomic_path(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for path, text in texts.items():
            entry = zipfile.ZipInfo(path, EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, text)


def check_archive(server: Server, path: Path, expected: Expected | None) -> None:
    """Raise InputError if a server would refuse an archive.

    expected: the frames of each sequence; None: only their number is known.
    """
    raise_problems(path, server, problems(server, read_archive(path), expected))


def read_archive(path: Path) -> dict[str, str]:
    """Return the text of an archive's files by path. Raises InputError if it is no zip of text."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [e for e in archive.infolist() if not e.is_dir()]
            # macOS adds a folder of its own, which the servers pass over
            kept = [e for e in entries if not e.filename.startswith("__MACOSX")]
            locked = [e.filename for e in kept if e.flag_bits & ENCRYPTED]
            if locked:
                raise InputError(
                    f"{path}: {locked[0]} needs a password, which the servers do not have; zip the "
                    "files again without one"
                )
            return {e.filename.removeprefix("./"): archive.read(e).decode() for e in kept}
    except OSError as error:
        raise InputError(f"{path}: no such archive ({error.strerror})") from None
    except zipfile.BadZipFile:
        raise InputError(f"{path}: not a zip archive, which the servers expect") from None
    except (NotImplementedError, zlib.error) as error:  # Windows' Deflate64, a broken download
        raise InputError(f"{path}: cannot be unpacked ({error}); zip the files again") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: holds a file that is not text; expected .txt only") from None


def problems(server: Server, texts: Mapping[str, str], expected: Expected | None) -> list[str]:
    """Return what a server would refuse in files given by path; none: nothing."""
    if expected is not None and len(expected) != server.sequences:
        return [f"{len(expected)} sequences; its test set has {server.sequences}"]
    return list(server.check(texts, expected))


def raise_problems(path: Path, server: Server, found: list[str]) -> None:
    """Raise InputError if something was found."""
    if not found:
        return
    more = f" (and {len(found) - SHOWN} more)" if len(found) > SHOWN else ""
    raise InputError(
        f"{path}: {server.title}'s server would refuse this: {'; '.join(found[:SHOWN])}{more}"
    )


def _refuse_lost(name: str, run: Run) -> None:
    lost = np.flatnonzero(~np.isfinite(run.boxes).all(axis=1))
    if len(lost):
        raise InputError(
            f"sequence {name}: no box in {len(lost)} frames, the first is {lost[0]}; the servers "
            "take a box in every frame: mend the tracker and run `socl track` again"
        )


def _check_got10k(texts: Mapping[str, str], expected: Expected | None) -> Iterator[str]:
    """Yield what is wrong: NAME/NAME_001.txt (and _002, _003) and NAME/NAME_time.txt."""
    names = [f"GOT-10k_Test_{i:06d}" for i in range(1, SERVERS["got10k"].sequences + 1)]
    unknown = sorted(set(expected or ()) - set(names))
    if unknown:
        yield f"{unknown[0]}: not a sequence of its test set ({names[0]} to {names[-1]})"
        return
    # the toolkit zips the tracker's folder; the server takes one level above, too (its issue 3)
    prefix = _common_folder(texts)
    known: set[str] = set()
    for name in names:
        stem = f"{prefix}{name}/{name}"
        repetitions = [f"{stem}_{i:03d}.txt" for i in range(1, 4)]
        present = [path for path in repetitions if path in texts]
        known |= {*present, f"{stem}_time.txt"}
        if present != repetitions[: len(present)] or len(present) not in REPETITIONS:
            yield f"{name}: {len(present)} repetitions; expected {name}_001.txt, or _001 to _003"
            continue
        counts = set()
        for path in present:
            lines, what = _box_lines(texts[path], path)
            counts.add(lines)
            yield from what
        yield from _check_counts(name, counts, expected)
        yield from _check_times(texts, f"{stem}_time.txt", counts, len(present))
    yield from (f"{path}: not expected" for path in texts if path not in known)


def _check_trackingnet(texts: Mapping[str, str], expected: Expected | None) -> Iterator[str]:
    """Yield what is wrong: NAME.txt of all sequences in the archive's root."""
    found = {path.removesuffix(".txt") for path in texts if path.endswith(".txt")}
    nested = sorted(path for path in texts if "/" in path)
    if nested:
        yield f"{nested[0]}: in a folder; expected NAME.txt in the archive's root"
        return
    yield from (f"{path}: not expected" for path in texts if not path.endswith(".txt"))
    wanted = SERVERS["trackingnet"].sequences
    if expected is None and len(found) != wanted:
        yield f"{len(found)} sequences; its test set has {wanted}"
    for name in sorted(set(expected or found) | found):
        if name not in found:
            yield f"{name}.txt: missing"
        elif expected is not None and name not in expected:
            yield f"{name}.txt: not expected"
        else:
            lines, what = _box_lines(texts[f"{name}.txt"], f"{name}.txt")
            yield from what
            yield from _check_counts(name, {lines}, expected)


def _box_lines(text: str, path: str) -> tuple[int, list[str]]:
    """Return the number of lines and what is wrong with the first bad one."""
    lines = len(text.rstrip().splitlines())
    try:
        rows = parse_rows(text, path, (4,), BOX, commas=True)
    except InputError as error:
        return lines, [str(error)]
    missing = np.flatnonzero(np.isnan(np.array(rows).reshape(len(rows), 4)).any(axis=1))
    return lines, [f"{path}, line {missing[0] + 1}: NaN"] if len(missing) else []


def _check_counts(name: str, counts: set[int], expected: Expected | None) -> Iterator[str]:
    if 0 in counts:
        yield f"{name}: an empty file"
    elif expected is not None and counts != {expected[name]}:
        shown = " and ".join(str(c) for c in sorted(counts))
        yield f"{name}: {shown} boxes for {expected[name]} frames"
    elif len(counts) > 1:
        yield f"{name}: repetitions of different lengths"


def _check_times(
    texts: Mapping[str, str], path: str, counts: set[int], repetitions: int
) -> Iterator[str]:
    """Yield what is wrong with GOT-10k's times: a line a frame, a column a repetition."""
    if path not in texts:
        yield f"{path}: missing"
        return
    try:
        rows = parse_rows(
            texts[path], path, (repetitions,), f"the seconds of {repetitions} repetitions", True
        )
    except InputError as error:
        yield str(error)
        return
    if {len(rows)} != counts:
        yield f"{path}: {len(rows)} lines, its boxes have others"
    elif not (np.array(rows) >= 0).all():
        yield f"{path}: negative or NaN seconds"


def _common_folder(texts: Mapping[str, str]) -> str:
    """Return the folder, with its slash, that all files are below and no sequence is; or none."""
    tops = {path.split("/")[0] for path in texts}
    deep = all(path.count("/") >= 2 for path in texts)
    return f"{tops.pop()}/" if deep and len(tops) == 1 else ""


SERVERS: dict[ServerName, Server] = {
    "got10k": Server("got10k", "GOT-10k", 180, _check_got10k),
    "trackingnet": Server("trackingnet", "TrackingNet", 511, _check_trackingnet),
}
