"""Trackers of kind `python`: a user's class, run as one of ours.

Two interfaces are known by their attributes: ours (`trackers.base.Tracker`: arrays) and that of
the GOT-10k toolkit's `Tracker` (PIL images; `name`, `is_deterministic` and `track` beside it).
"""

import hashlib
import importlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import ArrayLike

from socl_pipeline.boxes import centered_boxes
from socl_pipeline.errors import InputError
from socl_pipeline.settings import PythonTrackerSettings, expand
from socl_pipeline.trackers.base import AnswerError, Box, Image, check_box, check_image, check_point

METHODS = ("init", "update")
DETERMINISTIC = ("deterministic", "is_deterministic")  # ours, the GOT-10k toolkit's
TOOLKIT_ATTRIBUTES = ("name", "is_deterministic", "track")  # of got10k.trackers.Tracker


class UserTracker:
    """A user's tracker; see `trackers.base.Correctable`.

    tracker: an object with `init(image, box)` and `update(image)`, which returns x, y, w, h, or
    None where it finds nothing. base: what it counts pixels from. pictures: whether it takes PIL
    images. name: for errors.
    """

    def __init__(self, tracker: Any, name: str, base: int = 0, pictures: bool = False) -> None:
        self._tracker, self._name, self._pictures = tracker, name, pictures
        self._shift = np.array([base, base, 0, 0], np.float64)
        self._image: Image | None = None
        self._box: Box = np.full(4, np.nan)

    def init(self, image: Image, box: ArrayLike) -> None:
        """Start the user's tracker; see `Tracker.init`."""
        check_image(image)
        self._box, self._image = check_box(box), image
        self._tracker.init(self._picture(image), self._box + self._shift)

    def update(self, image: Image) -> Box:
        """Return the box (4,) in the next frame, NaN where the tracker finds nothing.

        Raises:
            InputError: the image is malformed.
            AnswerError: the user's tracker returns no box.
            RuntimeError: `init` was not called.
        """
        if self._image is None:
            raise RuntimeError(f"{self._name}.update was called before init.")
        check_image(image)
        self._image = image
        found = self._tracker.update(self._picture(image))
        box = np.full(4, np.nan) if found is None else _as_box(found, self._name) - self._shift
        if np.isfinite(box).all():
            self._box = box
        return box

    @property
    def deterministic(self) -> bool:
        """Whether the user's tracker says so, in `deterministic` or `is_deterministic`."""
        said = (getattr(self._tracker, name, False) for name in DETERMINISTIC)
        return any(map(bool, said))

    @property
    def confidence(self) -> float:
        """The user's tracker's own `confidence`; NaN if it has none."""
        return float(getattr(self._tracker, "confidence", np.nan))

    def move_to(self, center: ArrayLike) -> None:
        """Move the user's tracker, or start it afresh there if it cannot be moved.

        See `Correctable.move_to`. Started afresh, what it learnt before the latest frame is lost.
        """
        self._place("move_to", center)

    def correct(self, center: ArrayLike) -> None:
        """As `move_to`; see `Correctable.correct`."""
        self._place("correct", center)

    def _place(self, method: str, center: ArrayLike) -> None:
        if self._image is None:
            raise RuntimeError(f"{self._name}.{method} was called before init.")
        point = check_point(center)
        if hasattr(self._tracker, method):
            getattr(self._tracker, method)(point + self._shift[:2])
        else:
            self.init(self._image, centered_boxes(point, self._box[2:]))

    def _picture(self, image: Image) -> Any:
        return PIL.Image.fromarray(image) if self._pictures else image


def load_user_tracker(settings: PythonTrackerSettings) -> UserTracker:
    """Make an object of the user's class.

    Raises InputError if it cannot be imported or made, or lacks a method.
    """
    name = settings.class_
    made = _class(settings)
    try:
        tracker = made(**settings.arguments)
    except Exception as error:  # whatever the user's class does
        raise InputError(
            f"tracker class {name!r}: cannot be made with arguments {settings.arguments} "
            f"({error!r})"
        ) from None
    for method in METHODS:
        if not callable(getattr(tracker, method, None)):
            raise InputError(
                f"tracker class {name!r}: has no method {method}; expected init(image, box) and "
                "update(image)"
            )
    pictures = all(hasattr(tracker, attribute) for attribute in TOOLKIT_ATTRIBUTES)
    return UserTracker(tracker, name.partition(":")[2], settings.base, pictures)


def digest_code(settings: PythonTrackerSettings) -> str:
    """Return a hash of the user's code: his module, or all modules of its topmost package.

    Of arguments that name a file the content belongs to it. Raises InputError if the module is
    not found.
    """
    digest = hashlib.sha256()
    arguments = [Path(v) for v in settings.arguments.values() if isinstance(v, str)]
    for path in [*_sources(settings), *(p for p in arguments if p.is_file())]:
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _class(settings: PythonTrackerSettings) -> Any:
    module, _, name = settings.class_.partition(":")
    try:
        _extend_path(settings)
        found: Any = importlib.import_module(module)
        _refuse_another(settings, found)
        for part in name.split("."):
            found = getattr(found, part)
    except InputError:
        raise
    except Exception as error:  # whatever the user's module does when it is imported
        raise _not_importable(settings, error) from None
    if not callable(found):
        raise InputError(
            f"tracker class {settings.class_!r}: is a {type(found).__name__}, no class"
        )
    return found


def _sources(settings: PythonTrackerSettings) -> list[Path]:
    """Return the Python files that a class may be made of."""
    top = settings.class_.partition(":")[0].partition(".")[0]
    try:
        _extend_path(settings)
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError) as error:
        raise _not_importable(settings, error) from None
    if spec is None:
        raise _not_importable(settings, ModuleNotFoundError(f"No module named {top!r}"))
    if spec.submodule_search_locations:
        folders = [Path(folder) for folder in spec.submodule_search_locations]
        return sorted(path for folder in folders for path in folder.rglob("*.py"))
    return [Path(spec.origin)] if spec.has_location and spec.origin else []


def _extend_path(settings: PythonTrackerSettings) -> None:
    """Put the user's folder in front of where Python looks; it stays, for what is imported late."""
    if settings.path is not None and (folder := str(_folder(settings.path))) not in sys.path:
        sys.path.insert(0, folder)
        importlib.invalidate_caches()


def _refuse_another(settings: PythonTrackerSettings, module: ModuleType) -> None:
    """Raise InputError if a module of the same name was found elsewhere than in `path`."""
    if settings.path is None or module.__file__ is None:
        return
    if not Path(module.__file__).resolve().is_relative_to(_folder(settings.path)):
        raise InputError(
            f"tracker class {settings.class_!r}: Python finds {module.__file__} and not a module "
            f"in {settings.path}; rename yours"
        )


def _folder(path: str) -> Path:
    return Path(expand(path)).resolve()


def _not_importable(settings: PythonTrackerSettings, error: Exception) -> InputError:
    where = f"in {settings.path}" if settings.path else "from where the stage runs (PYTHONPATH)"
    return InputError(
        f"tracker class {settings.class_!r}: cannot be imported ({error!r}); expected "
        f"package.module:Class, importable {where}"
    )


def _as_box(found: Any, name: str) -> Box:
    try:
        box = np.asarray(found, np.float64).reshape(-1)
    except (TypeError, ValueError):
        box = np.zeros(0)
    if box.shape != (4,):
        raise AnswerError(f"{name}.update returned {found!r}; expected a box x, y, w, h")
    return box
