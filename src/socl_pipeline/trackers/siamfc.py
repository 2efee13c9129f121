"""SiamFC: the object of the first frame is searched by cross-correlation of features.

Bertinetto et al. 2016; the constants are those of the 3-scale version as the public code bases
siamfc-pytorch and siamese-fc (Matlab) use them. The template is never updated, so what is
measured is the backbone.
"""

import copy
import dataclasses
from typing import Literal, Self

import cv2
import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator
from torch import Tensor
from torch.nn import functional

from socl_pipeline.errors import InputError
from socl_pipeline.models.backbone import Backbone, Precision, extract
from socl_pipeline.trackers.base import Box, Image, check_box, check_image, check_point
from socl_pipeline.trackers.crops import crop_square, mean_color
from socl_pipeline.trackers.scales import highest

FloatMap = NDArray[np.float32]

# Template cells dropped on every side when the backbone pads and the settings leave it open:
# 8 x 8 cells of ResNet-18 become 4 x 4, the object without its context, as in pysot (15 to 7).
PADDED_TEMPLATE_BORDER = 2


class SiamFCSettings(BaseModel):
    """Constants of the SiamFC tracker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scales: int = Field(
        default=3, ge=1, description="Search scales, odd (siamfc-pytorch: 3; Matlab params-5s: 5)."
    )
    scale_step: float = Field(
        default=1.0375, gt=1, description="Ratio of neighbouring scales (siamfc-pytorch)."
    )
    scale_penalty: float = Field(
        default=0.9745,
        gt=0,
        le=1,
        description="Factor on the peak of every scale but the middle one (siamfc-pytorch).",
    )
    scale_damping: float = Field(
        default=0.59,
        ge=0,
        le=1,
        description="Share of the new scale in the update (siamfc-pytorch).",
    )
    scale_limits: tuple[float, float] = Field(
        default=(0.2, 5.0),
        description="Smallest and largest size, relative to the first box (Matlab).",
    )
    window_influence: float = Field(
        default=0.176,
        ge=0,
        le=1,
        description="Share of the Hann window in the score (siamfc-pytorch).",
    )
    response_up: int = Field(
        default=16, ge=1, description="Bicubic up-sampling of the response (siamfc-pytorch)."
    )
    exemplar_size: int = Field(
        default=127, gt=0, description="Side of the template patch in pixels (SiamFC paper)."
    )
    search_size: int = Field(
        default=255, gt=0, description="Side of the search patch in pixels (SiamFC paper)."
    )
    context: float = Field(
        default=0.5,
        ge=0,
        description="Margin added to w and h, as a share of w + h (SiamFC paper).",
    )
    normalize: Literal["none", "cell"] = Field(
        default="cell",
        description="cell: features of every cell have unit L2 norm, as in the SoCL loss, and the "
        "response is the mean cosine; none: plain correlation (siamfc-pytorch).",
    )
    out_scale: float = Field(
        default=1e-3, gt=0, description="Factor on the plain correlation (siamfc-pytorch)."
    )
    precision: Precision = Field(
        default="float32",
        description="Of the backbone (bf16: autocast); the response is always float32.",
    )
    template_border: int | None = Field(
        default=None,
        ge=0,
        description="Template cells dropped on every side; left open: 0 without padding in the "
        "backbone, else 2 (our choice, after pysot: padding biases the border cells).",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.scales % 2 == 0:
            raise ValueError(f"scales must be odd, not {self.scales}")
        if not 0 < self.scale_limits[0] <= 1 <= self.scale_limits[1]:
            raise ValueError(f"scale_limits must enclose 1, not {self.scale_limits}")
        if self.search_size <= self.exemplar_size:
            raise ValueError("search_size must be larger than exemplar_size")
        return self


@dataclasses.dataclass
class _State:
    """What the tracker knows about its object."""

    center: NDArray[np.float64]  # x, y in edge coordinates of the image
    first_size: NDArray[np.float64]  # w, h of the first box
    first_side: float  # side of the template's square in the first frame, pixels
    fill: NDArray[np.float64]  # mean colour of the first frame
    template: Tensor  # (1, C, h, w), scaled so that the correlation is the response
    scale: float = 1.0  # size now relative to the first frame
    confidence: float = float("nan")  # mean cosine at the latest peak


class SiamFC:
    """The SiamFC tracker on a copy of a backbone; see `trackers.base.Correctable`."""

    deterministic = True

    def __init__(
        self,
        backbone: Backbone,
        settings: SiamFCSettings | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        """Copy `backbone` to `device`: training it further does not change this tracker.

        Raises:
            InputError: the patch sizes do not suit the backbone's stride.
        """
        self.settings = settings or SiamFCSettings()
        self.device = torch.device(device)
        self._backbone = copy.deepcopy(backbone).eval()
        self._backbone.to(device=self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        _check_alignment(self.settings, backbone.stride)
        middle = self.settings.scales // 2
        self._scales = self.settings.scale_step ** np.arange(-middle, middle + 1.0)
        self._penalties = np.where(self._scales == 1, 1.0, self.settings.scale_penalty)
        border = self.settings.template_border
        if border is None:
            border = PADDED_TEMPLATE_BORDER if backbone.padded else 0
        self._border = border
        self._state: _State | None = None

    def init(self, image: Image, box: ArrayLike) -> None:
        """Take the template from `box` (4,) of a uint8 RGB image; see `Tracker.init`."""
        check_image(image)
        first = check_box(box)
        size = first[2:]
        center = first[:2] + size / 2
        side = context_side(size, self.settings.context)
        fill = mean_color(image)
        patch = crop_square(image, center, side, self.settings.exemplar_size, fill)
        self._state = _State(center, size, side, fill, self._template(patch))

    def update(self, image: Image) -> Box:
        """Return the box (4,) in the next frame; see `Tracker.update`."""
        if self._state is None:
            raise RuntimeError("SiamFC.update was called before SiamFC.init.")
        check_image(image)
        state, settings = self._state, self.settings
        search_side = state.first_side * state.scale * settings.search_size / settings.exemplar_size
        response = self._response(image, state, search_side)
        best = best_scale(response, self._penalties)
        scale = float(self._scales[best])
        if settings.normalize == "cell":  # bicubic up-sampling can overshoot a cosine of 1
            state.confidence = min(1.0, float(response[best].max()))
        cells = self._displacement(response[best])
        pixels = cells * self._backbone.stride * search_side * scale / settings.search_size
        # A centre off the image would see fewer and fewer of its pixels, and never come back.
        state.center = np.clip(state.center + pixels, 0, (image.shape[1], image.shape[0]))
        damped = 1 - settings.scale_damping + settings.scale_damping * scale
        state.scale = float(np.clip(state.scale * damped, *settings.scale_limits))
        box_size = state.first_size * state.scale
        return np.concatenate([state.center - box_size / 2, box_size])

    @property
    def confidence(self) -> float:
        """The highest mean cosine of the latest response; NaN if it is a plain correlation."""
        return self._state.confidence if self._state else float("nan")

    def move_to(self, center: ArrayLike) -> None:
        """Search around `center` (2,) next; see `Correctable.move_to`."""
        if self._state is None:
            raise RuntimeError("SiamFC.move_to was called before SiamFC.init.")
        self._state.center = check_point(center)

    def correct(self, center: ArrayLike) -> None:
        """Search around `center` (2,) next: nothing is learnt; see `Correctable.correct`."""
        self.move_to(center)

    @torch.inference_mode()
    def _features(self, patches: Image) -> Tensor:
        """Return features (N, C, H', W') of patches (N, H, W, 3), as the settings ask."""
        batch = torch.from_numpy(patches).to(self.device).permute(0, 3, 1, 2).float()
        features = extract(self._backbone, batch, self.settings.precision).float()
        if self.settings.normalize == "cell":
            features = functional.normalize(features, dim=1)
        return features

    @torch.inference_mode()
    def _template(self, patch: Image) -> Tensor:
        """Return the template (1, C, h, w) of a patch (H, W, 3)."""
        features = self._features(patch[None])
        border, side = self._border, features.shape[-1]
        if side <= 2 * border:
            raise InputError(
                f"template_border {border} leaves nothing of a template of {side} cells; lower it."
            )
        kept = features[:, :, border : side - border, border : side - border]
        if self.settings.normalize == "cell":
            return (kept / (kept.shape[2] * kept.shape[3])).contiguous()
        return (kept * self.settings.out_scale).contiguous()

    def _response(self, image: Image, state: _State, search_side: float) -> FloatMap:
        """Return the up-sampled response (scales, U, U) of the search patches of all scales."""
        patches = [
            crop_square(image, state.center, search_side * s, self.settings.search_size, state.fill)
            for s in self._scales
        ]
        with torch.inference_mode():
            coarse = correlate(state.template, self._features(np.stack(patches)))
        return upsample(coarse.cpu().numpy(), self.settings.response_up)

    def _displacement(self, response: FloatMap) -> NDArray[np.float64]:
        """Return how many feature cells x, y the object is off the centre of a response (U, U)."""
        side = response.shape[0]
        score = response - response.min()
        total = float(score.sum())
        if total > 0:  # a constant response says nothing: the window decides
            score = score / total
        # Published as np.hanning, whose ends are 0; the window is added, so no cell is excluded.
        window = np.outer(np.hanning(side), np.hanning(side))
        influence = self.settings.window_influence
        peak = subpixel_peak((1 - influence) * score + influence * window / window.sum())
        # Position (side - 1) / 2 is where search and template patch share their centre. (The
        # Matlab code rounds it to a cell, a constant shift of half an up-sampled cell.)
        return (peak - (side - 1) / 2) / self.settings.response_up


def context_side(size: ArrayLike, context: float) -> float:
    """Return the side of the template's square around an object of size w, h (2,), in pixels.

    sqrt((w + p)(h + p)) with p = context (w + h): SiamFC paper.
    """
    w, h = np.asarray(size, dtype=np.float64)
    margin = context * (w + h)
    return float(np.sqrt((w + margin) * (h + margin)))


def correlate(template: Tensor, search: Tensor) -> Tensor:
    """Return the cross-correlation (N, H', W') of (1, C, h, w) over features (N, C, H, W)."""
    return functional.conv2d(search, template)[:, 0]


def upsample(response: FloatMap, factor: int) -> FloatMap:
    """Return responses (S, R, R) enlarged to (S, R factor, R factor), bicubic."""
    side = response.shape[-1] * factor
    resized = [cv2.resize(r, (side, side), interpolation=cv2.INTER_CUBIC) for r in response]
    return np.stack(resized)


def best_scale(response: FloatMap, penalties: ArrayLike) -> int:
    """Return the index of the response (S, U, U) with the highest penalised peak.

    A factor p < 1 would raise a negative peak, so it lowers every peak by (1 - p) of its
    magnitude: the published rule where peaks are positive. Ties go to the middle scale.
    """
    peaks = response.max(axis=(1, 2))
    penalised = peaks - (1 - np.asarray(penalties)) * np.abs(peaks)
    return highest(penalised.tolist())


def subpixel_peak(score: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the position x, y of the maximum of a map (H, W), refined by parabolas.

    The centre of an up-sampled response lies between two samples; the first of two equal ones
    would drag a resting object to the upper left, frame by frame.
    """
    row, column = np.unravel_index(int(np.argmax(score)), score.shape)
    x = column + _vertex(score[row], int(column))
    y = row + _vertex(score[:, column], int(row))
    return np.array([x, y], dtype=np.float64)


def _vertex(values: NDArray[np.floating], peak: int) -> float:
    """Return the offset, within +-0.5, of the vertex of the parabola around a maximum."""
    if not 0 < peak < len(values) - 1:
        return 0.0
    before, here, after = (float(v) for v in values[peak - 1 : peak + 2])
    curvature = before - 2 * here + after
    return 0.5 * (before - after) / curvature if curvature < 0 else 0.0


def _check_alignment(settings: SiamFCSettings, stride: int) -> None:
    """Raise an InputError unless the centres of both patches meet in the response's centre."""
    if (settings.search_size - settings.exemplar_size) % (2 * stride):
        raise InputError(
            f"search_size {settings.search_size} - exemplar_size {settings.exemplar_size} must be "
            f"a multiple of {2 * stride}, twice the backbone's stride; change one of them."
        )
