"""UAV123: data_seq/UAV123/FOLDER/000001.jpg, of which a target is a range of images.

A file anno/UAV123/NAME.txt has the 1-based boxes of the range, NaN while the target is out of
view; anno/UAV123/att/NAME.txt has a flag for each attribute.
"""

from socl_pipeline.datasets.layouts.layout import (
    ListedLayout,
    SequenceFiles,
    boxed_video,
    numbered_frames,
    without_box,
)
from socl_pipeline.datasets.layouts.text import read_attributes, read_numbers
from socl_pipeline.datasets.video import Video, list_images
from socl_pipeline.errors import InputError

# In the order of the files (Mueller, Smith, Ghanem: A Benchmark and Simulator for UAV Tracking,
# ECCV 2016, table 2): scale variation, aspect ratio change, low resolution, fast motion, full and
# partial occlusion, out of view, background clutter, illumination variation, viewpoint change,
# camera motion, similar object.
ATTRIBUTES = ("SV", "ARC", "LR", "FM", "FOC", "POC", "OV", "BC", "IV", "VC", "CM", "SOB")


class Uav123Layout(ListedLayout):
    """Targets and their ranges are in the manifest."""

    def files(self, name: str) -> SequenceFiles:
        """Return where a target lies."""
        entry, annotations = self.entry(name), self.root / "anno/UAV123"
        return SequenceFiles(
            frames=self.root / "data_seq/UAV123" / (entry.folder or name),
            truth=annotations / f"{name}.txt",
            span=entry.frames,
            attributes=(annotations / "att" / f"{name}.txt",),
        )

    def read(self, name: str) -> Video:
        """Return one target."""
        files = self.files(name)
        boxes = read_numbers(files.truth, 4)
        span = files.span or (1, len(list_images(files.frames)))
        if len(boxes) != span[1] - span[0] + 1:
            raise InputError(
                f"{files.truth}: {len(boxes)} lines for the {span[1] - span[0] + 1} frames "
                f"{span[0]} to {span[1]} of the manifest"
            )
        boxes[:, :2] -= 1
        return boxed_video(
            name,
            numbered_frames(files.frames, span),
            boxes,
            absent=without_box(boxes),
            attributes=read_attributes(files.attributes[0], ATTRIBUTES),
        )
