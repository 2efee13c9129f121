"""GOT-10k: SPLIT/NAME/00000001.jpg with groundtruth.txt and label files; names in list.txt."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from socl_pipeline.datasets.images import image_size
from socl_pipeline.datasets.layouts.layout import SequenceFiles, SplitLayout, one_box_a_frame
from socl_pipeline.datasets.layouts.text import read_list, read_numbers
from socl_pipeline.datasets.video import FULLY_VISIBLE, Problem, Video, box_problem, list_images

LABELS = ("absence.label", "cover.label")


class Got10kLayout(SplitLayout):
    """Boxes are 0-based. The test split has only first boxes, and no labels."""

    @property
    def index(self) -> Path:
        """The list of videos."""
        return self.folder / self.part.list

    def names(self) -> list[str]:
        """Return the names in the list."""
        return read_list(self.index)

    def files(self, name: str) -> SequenceFiles:
        """Return where a video lies."""
        folder = self.folder / name
        labels = tuple(folder / label for label in LABELS)
        return SequenceFiles(folder, folder / "groundtruth.txt", labels, counts=(1,))

    def read(self, name: str) -> Video:
        """Return one video."""
        return read_got10k(self.folder / name)


def read_got10k(folder: Path) -> Video:
    """Read a GOT-10k video: NAME/00000001.jpg, groundtruth.txt (x,y,w,h) and the labels."""
    frames = list_images(folder)
    width, height = image_size(frames[0])
    n = len(frames)
    truth = folder / "groundtruth.txt"
    boxes = one_box_a_frame(truth, read_numbers(truth, 4), n)
    absent = _labels(folder / "absence.label", n, default=0) > 0
    given = ~absent & ~np.isnan(boxes).all(axis=1)
    problems = [
        Problem(folder.name, i, f"{truth}, line {i + 1}: {what}")
        for i in np.flatnonzero(given).tolist()
        if (what := box_problem(boxes[i], width, height))
    ]
    return Video(
        name=folder.name,
        frames=frames,
        width=width,
        height=height,
        boxes=np.where(absent[:, None], np.nan, boxes),
        points=np.full((n, 2), np.nan),
        absent=absent,
        cover=_labels(folder / "cover.label", n, default=FULLY_VISIBLE),
        problems=problems,
    )


def _labels(path: Path, n: int, default: int) -> NDArray[np.int8]:
    """Return the (n,) labels of a GOT-10k label file; it is not given for the test split."""
    if not path.exists():
        return np.full(n, default, np.int8)
    return read_numbers(path, 1, n)[:, 0].astype(np.int8)
