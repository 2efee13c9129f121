"""A dataset on disk: which videos it has, the reader of one, and what tells that it changed."""

import hashlib
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from socl_pipeline.datasets.layouts import LAYOUTS, Layout
from socl_pipeline.datasets.layouts.clips import read_clicks
from socl_pipeline.datasets.layouts.got10k import read_got10k
from socl_pipeline.datasets.layouts.layout import SequenceFiles
from socl_pipeline.datasets.layouts.otb import read_otb
from socl_pipeline.datasets.layouts.text import read_numbers
from socl_pipeline.datasets.manifest import Manifest
from socl_pipeline.datasets.video import Video, file_size, is_frame
from socl_pipeline.errors import InputError
from socl_pipeline.settings.errors import nearest, suggestion

__all__ = ["Dataset", "read_clicks", "read_got10k", "read_numbers", "read_otb"]

MOST_WATCHED_VIDEOS = 1000
OF_THE_ANNOTATION = {"folder", "groundtruth", "frames", "digits"}  # of a manifest's sequence


@dataclass(frozen=True)
class Dataset:
    """A split of a dataset on disk: names of videos, and the reader of one video."""

    manifest: Manifest
    root: Path
    split: str = ""
    only: tuple[str, ...] | None = None

    def names(self) -> list[str]:
        """Return the names of the videos (OTB: targets) in the dataset's own order."""
        names = self.layout.names()
        if self.only is None:
            return names
        unknown = [n for n in self.only if n not in names]
        if unknown:
            what = f"there is no sequence {unknown[0]!r}{nearest(unknown[0], names)}"
            raise InputError(f"{self.manifest.name}: {what}")
        return list(self.only)

    def is_there(self) -> bool:
        """Return whether the list of videos exists (a generated dataset may not be drawn yet)."""
        return self.layout.index.exists()

    def read(self, name: str) -> Video:
        """Return one video. Raises InputError if it cannot be used as a whole."""
        return self.layout.read(name)

    def watched_files(self) -> list[Path]:
        """Return the files whose change changes the dataset, as far as a workflow can watch them.

        Of a large dataset only the list is: tens of thousands of files would slow every start.
        """
        index = self.layout.index
        if self.manifest.layout == "clips":  # one file of all videos, whether it is there or not
            return [index]
        names = self.names()
        watched = [index] if index.is_file() else []
        if len(names) <= MOST_WATCHED_VIDEOS:
            annotations = (p for n in names for p in self.layout.files(n).annotations)
            watched += [p for p in annotations if p.exists()]
        return list(dict.fromkeys(watched))

    def digest(self) -> str:
        """Return a hash of all annotations and of each frame's name and size in bytes."""
        digest = hashlib.sha256()
        annotations: dict[Path, None] = {}  # an ordered set: one clicks.csv serves many videos
        for name in self.names():
            files = self.layout.files(name)
            if not files.frames.is_dir():
                raise InputError(self.no_frames(files))
            frames = [e for e in os.scandir(files.frames) if is_frame(e.name)]
            listing = sorted(f"{e.name} {file_size(e.path)}" for e in frames)
            where = files.frames.relative_to(self.root).as_posix()
            digest.update("\n".join([name, where, *listing]).encode())
            if name in self.manifest.sequences:  # frame ranges belong to the annotation
                entry = self.manifest.sequences[name].model_dump_json(include=OF_THE_ANNOTATION)
                digest.update(entry.encode())
            annotations |= dict.fromkeys(files.annotations)
        for path in annotations:
            digest.update(path.read_bytes() if path.exists() else b"none")
        return digest.hexdigest()

    def no_frames(self, files: SequenceFiles) -> str:
        """Return the sentence about a folder of frames that is not there.

        It names the nearest folder that belongs to no sequence: a name may be misspelt.
        """
        folder = files.frames
        there = next((p for p in folder.parents if p.is_dir()), folder)
        absent = folder.relative_to(there).parts[0]
        others = [e.name for e in os.scandir(there) if e.is_dir() and e.name not in self._folders]
        where = f"{files.named_in}: {folder}" if files.named_in else str(folder)
        return f"{where}: no such folder of frames{suggestion(absent, others)}"

    def digest_attributes(self) -> str:
        """Return a hash of what the benchmark says is hard in each sequence.

        No part of `digest`: attributes group scores, so that a copy which gets them later need not
        be tracked again, but only drawn.
        """
        digest = hashlib.sha256()
        for name in self.names():
            digest.update(name.encode() + b"\0")
            if name in self.manifest.sequences:
                digest.update("\n".join(self.manifest.sequences[name].attributes).encode())
            for path in self.layout.files(name).attributes:
                if path.exists():
                    digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()

    @cached_property
    def _folders(self) -> frozenset[str]:
        """The names of all folders that lead to frames of a sequence."""
        folders = (self.layout.files(name).frames for name in self.layout.names())
        return frozenset(part for folder in folders for part in folder.parts)

    @cached_property
    def layout(self) -> Layout:
        """How the dataset lies on disk."""
        return LAYOUTS[self.manifest.layout](self.manifest, self.root, self.split)
