"""Derived names: `BASE__VARIANT[__VARIANT...]` is an entry of the config with changes laid over it.

A variant is a name in `variants` of the config or of `tables/paper.yaml`. Two are built in:
`seedN` of models (of a tracker without a model: of its random network) and `budgetN` of datasets,
the N-th of `tables.hours`. A derived entry takes over what its base changes from the defaults of
its kind, so that another kind starts from its own defaults.
"""

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel

from socl_pipeline.errors import InputError
from socl_pipeline.presets import overlay
from socl_pipeline.settings.datasets import DatasetSettings
from socl_pipeline.settings.errors import kind_of, nearest, validated
from socl_pipeline.settings.models import AnyModelSettings
from socl_pipeline.settings.tables import Delta, packaged_tables
from socl_pipeline.settings.trackers import TrackerSettings
from socl_pipeline.settings.training import ModelSettings

if TYPE_CHECKING:
    from socl_pipeline.settings.config import Config

SEPARATOR = "__"
OUTLINE = "outline"
T = TypeVar("T")


def split_name(name: str) -> tuple[str, list[str]]:
    """Return the base of a name and its variants."""
    base, *variants = name.split(SEPARATOR)
    return base, variants


def derived_name(base: str, *variants: str | None) -> str:
    """Return the name of an entry with variants; each may be none or several."""
    return SEPARATOR.join([base, *filter(None, variants)])


def is_outline(table: str) -> bool:
    """Return whether a table's name is that of its outline: the paper's figures and no runs."""
    return split_name(table)[1] == [OUTLINE]


def table_of(name: str) -> str:
    """Return the name of the table that an outline is of, or the name of a table itself."""
    return split_name(name)[0] if is_outline(name) else name


def derived_dataset(config: "Config", name: str) -> DatasetSettings:
    """Return a declared or derived dataset. Raises InputError for an unknown name or value."""
    base, variants = split_name(name)
    entry = declared("dataset", base, config.datasets)
    raw = _changes(entry)
    for variant in variants:
        raw = overlay(raw, _dataset_delta(config, variant, name))
    return validated(DatasetSettings, raw, f"dataset {name!r}") if variants else entry


def annotated_dataset(config: "Config", name: str) -> str:
    """Return the name of a dataset without the variants that override how patches are made.

    What is left says which frames are annotated and how: what pseudo boxes are made of. So the
    boxes of all such variants are made once. Raises InputError for an unknown name.
    """
    base, variants = split_name(name)
    kept = [v for v in variants if "overrides" not in _dataset_delta(config, v, name)]
    return derived_name(base, *kept)


def derived_model(config: "Config", name: str) -> AnyModelSettings:
    """Return a declared or derived model. Raises InputError for an unknown name or value."""
    base, variants = split_name(name)
    entry = declared("model", base, config.models)
    raw = _changes(entry) | {"kind": entry.kind}
    for variant in variants:
        delta = _model_delta(config, variant)
        if delta is None:
            raise _unknown("model", name, variant, _known(config, "models"))
        raw = overlay(_of_kind(raw, str(delta.get("kind", raw["kind"]))), delta)
    if not variants:
        return entry
    kind = _kinds().get(raw["kind"])
    if kind is None:
        known = ", ".join(_kinds())
        raise InputError(f"model {name!r}: there is no kind {raw['kind']!r}; known: {known}")
    return validated(kind, raw, f"model {name!r}")  # type: ignore[return-value]


def derived_tracker(config: "Config", name: str) -> TrackerSettings:
    """Return a declared or derived tracker: a variant of its model is one of the tracker.

    Raises InputError for an unknown name or value.
    """
    base, variants = split_name(name)
    entry = declared("tracker", base, config.trackers)
    raw = _changes(entry) | {"kind": entry.kind}
    for variant in variants:
        raw = _tracker_with(config, raw, variant, name)
    if raw.get("model"):
        raw["model"] = simplest(config.model, raw["model"])
    return validated(type(entry), raw, f"tracker {name!r}") if variants else entry


def simplest(lookup: Callable[[str], Any], name: str) -> str:
    """Return the name without the variants that change nothing, so that equal runs are one.

    lookup: returns the entry of a name, such as `config.model`.
    """
    wanted = lookup(name)
    base, variants = split_name(name)
    for variant in reversed(variants):
        fewer = [v for v in variants if v != variant]
        try:
            same = lookup(derived_name(base, *fewer)) == wanted
        except InputError:  # another variant builds on this one
            continue
        if same:
            variants = fewer
    return derived_name(base, *variants)


def _tracker_with(config: "Config", raw: Delta, variant: str, name: str) -> Delta:
    """Return a tracker's raw values with one more variant."""
    model = raw.get("model")
    own = _known(config, "trackers").get(variant)
    if model and _model_delta(config, variant) is not None:
        raw = raw | {"model": derived_name(model, variant)}
    elif seed := re.fullmatch(r"seed(\d+)", variant):
        if not raw.get("weights"):  # pretrained weights leave nothing to chance
            raw = raw | {"seed": int(seed[1])}
    elif own is None:
        known = _known(config, "trackers") | (_known(config, "models") if model else {})
        raise _unknown("tracker", name, variant, known)
    raw = overlay(raw, own or {})
    if model and not raw["model"]:  # untrained: the network that would have been trained
        untrained = config.model(model)
        start = {"backbone": untrained.backbone, "seed": untrained.seed}
        raw = raw | start | ({"weights": str(untrained.weights)} if untrained.weights else {})
    return raw


def _dataset_delta(config: "Config", variant: str, name: str) -> Delta:
    known = _known(config, "datasets")
    if variant in known:
        return known[variant]
    hours = config.tables.hours
    budget = re.fullmatch(r"budget([1-9]\d*)", variant)
    if budget is None:
        raise _unknown("dataset", name, variant, known)
    if int(budget[1]) > len(hours):
        raise InputError(
            f"dataset {name!r}: tables.hours has {len(hours)} budgets, so there is no {variant!r}"
        )
    return {"points": {"hours": hours[int(budget[1]) - 1]}}


def _model_delta(config: "Config", variant: str) -> Delta | None:
    seed = re.fullmatch(r"seed(\d+)", variant)
    return {"seed": int(seed[1])} if seed else _known(config, "models").get(variant)


def _known(config: "Config", kind: str) -> dict[str, Delta]:
    """Return the variants of a kind; the config's own take the place of packaged ones."""
    packaged: dict[str, Delta] = getattr(packaged_tables().variants, kind)
    own: dict[str, Delta] = getattr(config.variants, kind)
    return packaged | own


def declared(what: str, name: str, entries: Mapping[str, T]) -> T:
    """Return an entry. Raises InputError with the known names if there is none."""
    if name not in entries:
        raise InputError(f"there is no {what} {name!r} in the config; known: {', '.join(entries)}")
    return entries[name]


def _unknown(what: str, name: str, variant: str, known: Mapping[str, Delta]) -> InputError:
    return InputError(f"{what} {name!r}: there is no variant {variant!r}{nearest(variant, known)}")


def _changes(entry: BaseModel) -> Delta:
    """Return what an entry says beyond the defaults of its kind, as plain data."""
    return entry.model_dump(mode="json", exclude_defaults=True)


def _of_kind(raw: Delta, kind: str) -> Delta:
    """Return a model's raw values without the keys that another kind does not have."""
    if kind == raw["kind"] or kind not in _kinds():
        return raw
    return {k: v for k, v in raw.items() if k in _kinds()[kind].model_fields}


def _kinds() -> dict[str, type[ModelSettings]]:
    return {str(kind_of(model)): model for model in ModelSettings.__subclasses__()}
