"""Read a user's copy of the objectness release 2.2 (Alexe, Deselaers, Ferrari) as tables of ours.

The release may be used for research only, so nothing of it is shipped: its folder `Data` holds
params.mat and a likelihood table for each cue, and `socl fit-objectness --release` converts them.
"""

from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat
from scipy.io.matlab import MatReadError

from socl_pipeline import __version__
from socl_pipeline.errors import InputError
from socl_pipeline.top.cues.image import CueSettings
from socl_pipeline.top.objectness.model import ObjectnessModel

Float = NDArray[np.floating]
EdBins = Literal["as_shipped", "corrected"]

LICENCE = "objectness release 2.2: research only, no commercial use; do not redistribute"

SIZES = {"ms": 501, "cc": 201, "ed": 101}  # bins of each table
RATES = {"ms": 1.0, "cc": 100.0, "ed": 20.0}  # bins to a unit of the cue: 1 over the spacing
SHIPPED_ED_RATE = 2.0  # what the release looks ED up with, though the bins are 0.05 wide
EPS = float(np.finfo(np.float64).eps)  # MATLAB's eps, added to every probability by the release


def read_release(folder: Path, ed_bins: EdBins) -> ObjectnessModel:
    """Return the released tables of MS, CC and ED with the released thetas and prior.

    ed_bins: "as_shipped" looks ED up in bins ten times too wide, as the release does, which uses
    a tenth of its table; "corrected" uses the width that the table was made with. Raises
    InputError naming the file or field that is missing.
    """
    tables = {cue: _likelihood(folder, cue) for cue in SIZES}
    rates = RATES if ed_bins == "corrected" else RATES | {"ed": SHIPPED_ED_RATE}
    prior, thetas = _parameters(folder)
    return ObjectnessModel(
        edges={cue: _edges(SIZES[cue], rates[cue]) for cue in SIZES},
        log_ratio={cue: np.log(t[0] + EPS) - np.log(t[1] + EPS) for cue, t in tables.items()},
        prior=prior,
        provenance={
            "source": "objectness release 2.2",
            "ed_bins": ed_bins,
            "licence": LICENCE,
            "version": __version__,
        },
        thetas=thetas,
    )


def _edges(bins: int, rate: float) -> Float:
    """Return the edges (bins - 1,) of the release's rule: value v is in bin ceil(rate v + 0.5).

    Bins count from 1. A value on an edge belongs to the lower bin there and to the upper one here.
    """
    return (np.arange(1, bins) - 0.5) / rate


def _likelihood(folder: Path, cue: str) -> Float:
    """Return p(bin | object) and p(bin | background), (2, bins)."""
    path = folder / f"{cue.upper()}likelihood.mat"
    table = np.asarray(_load(path, "likelihood"))
    size = SIZES[cue]
    if table.shape != (2, size) or not np.issubdtype(table.dtype, np.floating):
        raise InputError(
            f"{path}: likelihood has shape {table.shape}, expected (2, {size}) as in release 2.2"
        )
    if not (np.isfinite(table).all() and (table >= 0).all()):
        raise InputError(f"{path}: likelihood has values that are no probabilities")
    return table


def _parameters(folder: Path) -> tuple[float, CueSettings]:
    path = folder / "params.mat"
    params = _load(path, "params")
    try:
        prior = float(params.pobj)
        thetas = CueSettings(
            ms_scales=tuple(int(s) for s in np.atleast_1d(params.MS.scale)),
            ms_thresholds=tuple(float(t) for t in np.atleast_1d(params.MS.theta)),
            cc_theta=float(params.CC.theta),
            ed_theta=float(params.ED.theta),
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: not the parameters of release 2.2 ({error}); expected pobj, MS.scale, "
            "MS.theta, CC.theta and ED.theta"
        ) from None
    return prior, thetas


def _load(path: Path, name: str) -> Any:
    if not path.is_file():
        raise InputError(
            f"{path}: no such file; --release takes the release's folder `Data`, which has "
            "params.mat and MSlikelihood.mat, CClikelihood.mat and EDlikelihood.mat"
        )
    try:
        content = loadmat(path, squeeze_me=True, struct_as_record=False)
    except (OSError, ValueError, TypeError, NotImplementedError, MatReadError) as error:
        raise InputError(f"{path}: not a MATLAB file that SciPy reads ({error})") from None
    if name not in content:
        raise InputError(f"{path}: has no variable {name!r}; is it of release 2.2?")
    return content[name]
