"""LaSOT: category/category-1/img/00000001.jpg, groundtruth.txt and two files of flags.

The folder of the category may be missing, as in copies of the test part alone. Attributes are
given with LaSOT's evaluation toolkit (annos/att/NAME.txt), not with the videos; put the folder as
`att` beside the categories to have them.
"""

from pathlib import Path

import numpy as np

from socl_pipeline.datasets.layouts.layout import (
    ListedLayout,
    SequenceFiles,
    boxed_video,
    numbered_frames,
    one_box_a_frame,
)
from socl_pipeline.datasets.layouts.text import read_attributes, read_flags, read_numbers
from socl_pipeline.datasets.video import Video, list_images

FLAGS = ("full_occlusion.txt", "out_of_view.txt")
# In the order of the toolkit's files (Fan et al.: LaSOT, CVPR 2019, section 3.4): illumination
# variation, partial occlusion, deformation, motion blur, camera motion, rotation, background
# clutter, viewpoint change, scale variation, full occlusion, fast motion, out of view, low
# resolution, aspect ratio change.
ATTRIBUTES = (
    *("IV", "POC", "DEF", "MB", "CM", "ROT", "BC"),
    *("VC", "SV", "FOC", "FM", "OV", "LR", "ARC"),
)


class LasotLayout(ListedLayout):
    """Boxes are 1-based; a frame is absent if the target is fully occluded or out of view."""

    def files(self, name: str) -> SequenceFiles:
        """Return where a sequence lies."""
        folder = self._folder(name)
        return SequenceFiles(
            frames=folder / "img",
            truth=folder / "groundtruth.txt",
            labels=tuple(folder / flags for flags in FLAGS),
            span=self.entry(name).frames,
            attributes=(self.root / "att" / f"{name}.txt",),
        )

    def read(self, name: str) -> Video:
        """Return one sequence."""
        files = self.files(name)
        if files.span:
            frames = numbered_frames(files.frames, files.span)
        else:
            frames = list_images(files.frames)
        boxes = one_box_a_frame(files.truth, read_numbers(files.truth, 4), len(frames))
        boxes[:, :2] -= 1
        absent = np.zeros(len(frames), bool)
        for path in files.labels:
            if path.exists():
                absent |= read_flags(path, len(frames))
        return boxed_video(
            name,
            frames,
            np.where(absent[:, None], np.nan, boxes),
            absent=absent,
            attributes=read_attributes(files.attributes[0], ATTRIBUTES),
        )

    def _folder(self, name: str) -> Path:
        nested = self.root / name.rpartition("-")[0] / name
        flat = self.root / name
        return flat if flat.is_dir() and not nested.is_dir() else nested
