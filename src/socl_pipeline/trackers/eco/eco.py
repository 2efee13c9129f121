"""The ECO tracker (Danelljan et al. 2017), and with a network's features SoCL-CF."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from socl_pipeline.models.backbone import Backbone
from socl_pipeline.settings.eco import EcoSettings
from socl_pipeline.trackers.base import Box, Image, check_box, check_image, check_point
from socl_pipeline.trackers.crops import crop_square
from socl_pipeline.trackers.eco.features import FeatureExtractor, default_layers
from socl_pipeline.trackers.eco.geometry import SampleGeometry, sample_geometry
from socl_pipeline.trackers.eco.model import AppearanceModel
from socl_pipeline.trackers.scales import highest

_SPARSE = 997  # a prime, so that a pattern in rows is not looked at in one column


@dataclass
class _Seen:
    """The latest frame as it will be learnt: sample `index`, and where in it the object is."""

    image: Image
    samples: list[torch.Tensor]
    index: int
    displacement: tuple[float, float]


@dataclass
class _State:
    """What the tracker knows about its object."""

    center: NDArray[np.float64]  # x, y in edge coordinates of the image
    scale: float  # image px per patch px
    geometry: SampleGeometry
    model: AppearanceModel | None = None  # none until a frame shows something
    latest: _Seen | None = None  # learnt when the next frame comes: until then it may be corrected
    frames: int = 0  # learnt after the first
    confidence: float = math.nan


class Eco:
    """The ECO tracker on a copy of a backbone; see `trackers.base.Correctable`."""

    deterministic = True

    def __init__(
        self,
        settings: EcoSettings | None = None,
        backbone: Backbone | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Copy `backbone`, where there is one, to `device`.

        Raises:
            InputError: a layer is unknown, there is no backbone to take it from, or no feature.
        """
        self.settings = settings = settings or EcoSettings()
        self._extractor = FeatureExtractor(
            settings.hog_channels,
            default_layers(backbone) if settings.layers is None else settings.layers,
            backbone,
            settings.precision,
            torch.device(device),
        )
        middle = settings.scales // 2
        self._scales = settings.scale_step ** np.arange(-middle, middle + 1.0)
        self._state: _State | None = None

    @property
    def confidence(self) -> float:
        """The peak of the latest score, at most 1, which is the peak of the label that is learnt.

        Scores are higher where the background is plainer than those learnt: features have the
        same energy in every patch, and then more of it is the object's.
        """
        return math.nan if self._state is None else self._state.confidence

    @torch.inference_mode()
    def init(self, image: Image, box: ArrayLike) -> None:
        """Learn the object in `box` (4,) of a uint8 RGB image; see `Tracker.init`."""
        check_image(image)
        first = check_box(box)
        w, h = first[2:].tolist()
        center = first[:2] + first[2:] / 2
        size = (image.shape[1], image.shape[0])
        geometry = sample_geometry((w, h), size, self._extractor.unit, self.settings)
        self._state = _State(center, geometry.scale, geometry)
        self._learn_first(image, self._state)

    def _learn_first(self, image: Image, state: _State) -> None:
        """Learn the object where it is thought to be, if there is anything to see."""
        patches = self._patches(image, state.center, [state.scale], state.geometry.side)
        if not _one_colour(patches):
            state.model = AppearanceModel(
                self._extractor,
                self.settings,
                state.geometry.side,
                state.geometry.object_size,
                self._extractor(patches),
            )

    @torch.inference_mode()
    def update(self, image: Image) -> Box:
        """Return the box (4,) in the next frame; see `Tracker.update`."""
        if self._state is None:
            raise RuntimeError("Eco.update was called before Eco.init.")
        check_image(image)
        state = self._state
        if state.model is None:
            self._learn_first(image, state)
        else:
            self._learn_latest(state, state.model)
            self._find(image, state, state.model)
        size = np.array(state.geometry.object_size) * state.scale
        return np.concatenate([state.center - size / 2, size])

    def _find(self, image: Image, state: _State, model: AppearanceModel) -> None:
        """Search the object; in a patch of one colour it stays where and as large as it was."""
        side = state.geometry.side
        scales = (state.scale * self._scales).tolist()
        patches = self._patches(image, state.center, scales, side)
        if _one_colour(patches):
            state.confidence = 0.0
            return
        samples = model.samples(self._extractor(patches))
        scores, displacements = model.locate(samples)
        best = highest(scores.tolist())
        state.confidence = min(float(scores[best]), 1.0)
        x, y = displacements[best].tolist()
        state.latest = _Seen(image, samples, best, (x, y))
        moved = state.center + np.array([x, y]) * side * scales[best]
        state.center = np.clip(moved, 0, (image.shape[1], image.shape[0]))
        state.scale = float(np.clip(scales[best], *state.geometry.limits))

    def _learn_latest(self, state: _State, model: AppearanceModel) -> None:
        """Take in the frame of the latest update, and train if it is time."""
        seen, state.latest = state.latest, None
        if seen is None:
            return
        model.learn(seen.samples, seen.index, seen.displacement)
        state.frames += 1
        if state.frames <= self.settings.train_first or (
            state.frames % self.settings.train_every == 0
        ):
            model.train()

    def move_to(self, center: ArrayLike) -> None:
        """Start the next search at x, y (2,); see `Correctable.move_to`."""
        if self._state is None:
            raise RuntimeError("Eco.move_to was called before Eco.init.")
        self._state.center = check_point(center)

    @torch.inference_mode()
    def correct(self, center: ArrayLike) -> None:
        """Learn the latest frame with the object at x, y (2,); see `Correctable.correct`."""
        self.move_to(center)
        state = self._state
        if state is None or state.latest is None or state.model is None:
            return
        image = state.latest.image
        patches = self._patches(image, state.center, [state.scale], state.geometry.side)
        if _one_colour(patches):
            state.latest = None
            return
        samples = state.model.samples(self._extractor(patches))
        state.latest = _Seen(image, samples, 0, (0.0, 0.0))

    def _patches(
        self, image: Image, center: NDArray[np.float64], scales: list[float], side: int
    ) -> torch.Tensor:
        """Return the squares (N, P, P, 3) around `center` at N scales, with the margin."""
        out = side + 2 * self._extractor.margin
        patches = [crop_square(image, center, out * s, out, None) for s in scales]
        return torch.from_numpy(np.stack(patches)).to(self._extractor.device)


def _one_colour(patches: torch.Tensor) -> bool:
    """Return whether patches (N, P, P, 3) show nothing: no filter can be learnt or applied.

    A network that pads would still see the patch's border, and the energy of features, which is
    brought to 1, would be that of nothing else.
    """
    pixels = patches.flatten(0, 2)
    # nearly all patches differ within a few pixels, and all pixels take as long as HOG
    return all(bool((some == pixels[0]).all()) for some in (pixels[::_SPARSE], pixels))
