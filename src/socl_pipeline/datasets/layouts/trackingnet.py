"""TrackingNet: SPLIT/frames/NAME/0.jpg, counted from 0, and SPLIT/anno/NAME.txt."""

from pathlib import Path

from socl_pipeline.datasets.layouts.layout import (
    SequenceFiles,
    SplitLayout,
    boxed_video,
    one_box_a_frame,
)
from socl_pipeline.datasets.layouts.text import read_numbers
from socl_pipeline.datasets.video import Video, list_images
from socl_pipeline.errors import InputError


class TrackingNetLayout(SplitLayout):
    """Boxes are taken as they are; the test split has only the first of each video."""

    @property
    def index(self) -> Path:
        """The folder of annotations: there is no list, each of its files is a video."""
        return self.folder / "anno"

    def names(self) -> list[str]:
        """Return the names of the annotation files, sorted."""
        names = sorted(p.stem for p in self.index.glob("*.txt"))
        if not names:
            raise InputError(
                f"{self.index}: there is no annotation file in it, and each names a video; is "
                "the root right?"
            )
        return names

    def files(self, name: str) -> SequenceFiles:
        """Return where a video lies."""
        frames, truth = self.folder / "frames" / name, self.index / f"{name}.txt"
        return SequenceFiles(frames, truth, start=0, counts=(1,))

    def read(self, name: str) -> Video:
        """Return one video."""
        files = self.files(name)
        frames = list_images(files.frames)
        boxes = one_box_a_frame(files.truth, read_numbers(files.truth, 4), len(frames))
        return boxed_video(name, frames, boxes)
