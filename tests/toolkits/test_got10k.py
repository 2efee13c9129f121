"""Our trackers under the GOT-10k toolkit's interface."""

import numpy as np
import PIL.Image
import pytest
import yaml

from socl_pipeline.datasets.images import read_image
from socl_pipeline.datasets.manifest import load_manifest
from socl_pipeline.datasets.readers import Dataset
from socl_pipeline.errors import InputError
from socl_pipeline.toolkits.configured import configured_tracker
from socl_pipeline.toolkits.got10k import as_tracker
from socl_pipeline.trackers.opencv import OpenCVTracker
from socl_pipeline.trackers.run import run_sequence


@pytest.fixture(scope="module")
def video(demo):
    dataset = Dataset(load_manifest(demo.manifest), demo.root, "val")
    return dataset.read(dataset.names()[0])


@pytest.mark.parametrize("base", [0, 1])
def test_its_loop_gives_the_boxes_of_our_own(video, base):
    frames = [read_image(path) for path in video.frames]
    own, _ = run_sequence(OpenCVTracker("kcf"), frames, video.boxes[0])
    tracker = as_tracker(OpenCVTracker("kcf"), "kcf", base=base)
    assert (tracker.name, tracker.is_deterministic) == ("kcf", True)
    first = video.boxes[0] + [base, base, 0, 0]
    boxes, seconds = tracker.track([str(p) for p in video.frames], first)
    np.testing.assert_array_equal(boxes - [base, base, 0, 0], own)
    assert seconds.shape == (len(video),) and (seconds > 0).all()


def test_single_calls_take_pil_images(video):
    tracker = as_tracker(OpenCVTracker("kcf"), "kcf", is_deterministic=False)
    image = PIL.Image.open(video.frames[0])
    tracker.init(image, video.boxes[0])
    assert tracker.update(image.convert("L")).shape == (4,)
    assert not tracker.is_deterministic


def test_a_frame_without_a_box_is_an_empty_one(video):
    class Lost(OpenCVTracker):
        def update(self, image):
            return np.full(4, np.nan)

    tracker = as_tracker(Lost("kcf"), "kcf", base=1)
    boxes, _ = tracker.track([str(p) for p in video.frames[:2]], video.boxes[0])
    assert boxes[1].tolist() == [0, 0, 0, 0]


def test_a_tracker_of_a_config(raw_config, tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(raw_config))
    assert as_tracker(path, "kcf")._tracker.name == "kcf"
    with pytest.raises(InputError, match="name the dataset that it was trained on"):
        configured_tracker(path, "socl")
    with pytest.raises(InputError, match="models/tiny: not built yet; run `socl train`"):
        as_tracker(path, "socl", dataset="demo", results=tmp_path)
