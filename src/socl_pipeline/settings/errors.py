"""What is wrong with a config, in one sentence that names the key."""

import difflib
import re
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from socl_pipeline.errors import InputError, listed

T = TypeVar("T", bound=BaseModel)

_MEMBER = r"\[key\]|tuple\[.*\]"  # what pydantic puts beside the keys of a location
_MAPPING = ("model_type", "model_attributes_type", "dict_type")
_EXPECTED = dict.fromkeys(_MAPPING, "expected a mapping of keys") | {
    "tuple_type": "expected a list"
}
LISTED = 30  # known words of a sentence: all keys of a section, not all videos of a dataset


def validated(model: type[T], raw: Any, source: str) -> T:
    """Validate plain data as `model`; all that is wrong becomes one InputError."""
    if not isinstance(raw, dict):
        raise InputError(f"{source}: expected a mapping of sections, found {type(raw).__name__}")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        # a key that takes one of several types has an error for each: the first will do
        items: list[dict[str, Any]] = [dict(item) for item in error.errors()]
        found = {_key(item["loc"]): item for item in reversed(items) if not _is_emptied(item)}
        sentences = [_sentence(model, key, found[key]) for key in reversed(found)]
        raise InputError(f"{source}: " + "; ".join(sentences)) from None


def _is_emptied(item: dict[str, Any]) -> bool:
    """Return whether a list is only too short because entries of it are wrong themselves."""
    return item["type"] == "too_short" and len(item["input"]) >= item["ctx"]["min_length"]


def _key(location: tuple[int | str, ...]) -> str:
    """Return the key that a pydantic location stands for."""
    parts = [part for part in location if not re.fullmatch(_MEMBER, str(part))]
    if parts[:1] in (["trackers"], ["models"], ["pseudo_boxes"]):
        del parts[2:3]  # pydantic puts the kind between the name and its keys
    elif parts[:1] == ["constants"]:  # of a manifest, which has one set of them
        del parts[1:2]
    if parts and re.fullmatch(r"float|int|str|literal\[.*\]", str(parts[-1])):
        parts.pop()  # and the member of a union behind the key
    return ".".join(str(part) for part in parts)


def _sentence(model: type[BaseModel], key: str, item: dict[str, Any]) -> str:
    """One pydantic error as: key, what is wrong, what is near."""
    if item["type"] == "extra_forbidden":
        known = _known_keys(model, tuple(item["loc"][:-1]))
        return f"unknown key {key!r}{nearest(str(item['loc'][-1]), known)}"
    if item["type"] == "missing":
        return f"{key!r} is missing"
    if item["type"] == "union_tag_not_found":
        return f"'{key}.kind' is missing{nearest('', _known_keys(model, tuple(item['loc'])))}"
    if item["type"] == "union_tag_invalid":
        kind, known = item["ctx"]["tag"], _known_keys(model, tuple(item["loc"]))
        return f"{key}.kind: there is no kind {kind!r}{nearest(kind, known)}"
    if item["type"] == "string_pattern_mismatch" and item["loc"][-1] == "[key]":
        return f"{key}: a name has lower-case letters, digits and single underscores only"
    if item["type"] in _MAPPING and item["input"] is None:
        return f"{key}: there is nothing below it; leave it out"
    message = _EXPECTED.get(item["type"], item["msg"].removeprefix("Value error, "))
    message = message[0].lower() + message[1:]
    found = item["input"]
    shown = f" (found {found!r})" if not isinstance(found, dict | BaseModel) else ""
    return f"{key}: {message}{shown}" if key else f"{message}{shown}"


def _known_keys(model: Any, location: tuple[Any, ...]) -> list[str]:
    """Return the keys of the section at `location`, or the kinds that there are of it.

    The location is walked through names, lists and unions.
    """
    if location and isinstance(model, type) and issubclass(model, BaseModel):
        field = model.model_fields.get(str(location[0]))
        return _known_keys(field.annotation, location[1:]) if field else []
    arguments = [a for a in get_args(model) if a is not type(None)]
    if not arguments:
        fields = getattr(model, "model_fields", {})
        return [field.alias or name for name, field in fields.items()]
    if location and re.fullmatch(rf"\d+|{_MEMBER}", str(location[0])):  # of a list
        return _known_keys(arguments[0], location[1:])
    if getattr(model, "__origin__", None) is dict:
        return _known_keys(arguments[1], location[1:])
    kinds = {kind: a for a in arguments if (kind := kind_of(a))}
    if len(kinds) > 1 and not location:
        return list(kinds)
    if location and location[0] in kinds:
        return _known_keys(kinds[location[0]], location[1:])
    return _known_keys(arguments[0], location)


def kind_of(model: Any) -> str | None:
    """Return the value of a section's `kind` discriminator, if it has one."""
    field = getattr(model, "model_fields", {}).get("kind")
    return get_args(field.annotation)[0] if field else None


def nearest(word: str, known: Any) -> str:
    """Return the end of a sentence about an unknown word: the nearest known one, or the first."""
    return suggestion(word, known) or f": known are {listed(list(known), LISTED)}"


def suggestion(word: str, known: Any) -> str:
    """Return the end of a sentence about an unknown word: the nearest known one, if any is near."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f": did you mean {matches[0]!r}?" if matches else ""
