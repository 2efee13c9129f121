"""OTB: Name/img/0001.jpg and groundtruth_rect.txt; the manifest has targets and frame ranges."""

from pathlib import Path

from socl_pipeline.datasets.layouts.layout import ListedLayout, SequenceFiles, boxed_video
from socl_pipeline.datasets.layouts.text import read_numbers
from socl_pipeline.datasets.manifest import Sequence
from socl_pipeline.datasets.video import Video, list_images
from socl_pipeline.errors import InputError


class OtbLayout(ListedLayout):
    """Boxes are 1-based; attributes are in the manifest."""

    def files(self, name: str) -> SequenceFiles:
        """Return where a target lies."""
        entry = self.entry(name)
        folder = self.root / (entry.folder or name)
        span = entry.frames
        # a file may have a line for each image up to the last one of the range (Tiger1)
        counts = (span[1],) if span else ()
        return SequenceFiles(folder / "img", folder / entry.groundtruth, span=span, counts=counts)

    def read(self, name: str) -> Video:
        """Return one target."""
        return read_otb(self.root, name, self.entry(name))


def read_otb(root: Path, name: str, sequence: Sequence) -> Video:
    """Read an OTB target: Name/img/0001.jpg and 1-based boxes in the official frame range."""
    folder = root / (sequence.folder or name)
    truth = folder / sequence.groundtruth
    boxes = read_numbers(truth, 4)
    first, last = sequence.frames or (1, len(boxes))
    if len(boxes) == last:  # Tiger1: boxes from image 1 on, evaluated from a later one
        boxes = boxes[first - 1 :]
    if last - first + 1 != len(boxes):
        raise InputError(
            f"{truth}: {len(boxes)} lines for the {last - first + 1} frames {first} to {last} "
            "of the manifest"
        )
    images = {p.stem: p for p in list_images(folder / "img")}
    stems = [f"{i:0{sequence.digits}d}" for i in range(first, last + 1)]
    missing = [s for s in stems if s not in images]
    if missing:
        raise InputError(
            f"{folder / 'img'}: {len(missing)} of {len(stems)} frames are missing, "
            f"the first is {missing[0]}"
        )
    boxes[:, :2] -= 1  # OTB counts pixels from 1
    frames = [images[s] for s in stems]
    return boxed_video(name, frames, boxes, attributes=frozenset(sequence.attributes))
