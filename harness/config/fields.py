"""The base of every mapping in the suite language, and pydantic's errors as sentences with a place.

An unknown key is an error that suggests the nearest key; a key that this version does not support
says so. While a mapping is validated, it records which model reads it, so that an error about a key
knows the keys there are.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from typing import Annotated, Any, ClassVar, TypeVar
from unicodedata import category

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import ErrorDetails

from harness.config.diagnostics import (
    KeyPath,
    Place,
    Problems,
    did_you_mean,
    nearest_match,
    quote_value,
)
from harness.config.yaml import Document

M = TypeVar("M", bound=BaseModel)

SCALAR, MAPPING, LIST, FLAG = "<scalar>", "<mapping>", "<list>", "<flag>"
"""Tags of a union whose branch is chosen by the value's shape, so that an error is about the branch
that was meant."""

_SHAPES = {SCALAR: "a plain value", MAPPING: "a mapping", LIST: "a list", FLAG: "true or false"}

_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Categories of Unicode: controls, surrogates, separators of lines and paragraphs."""
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

_LISTED = 5
"""Places of one error that are named."""

_EXPECTED = {
    "int": "a whole number",
    "float": "a number",
    "finite": "a number",
    "bool": "true or false",
    "string": "text (quote it)",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping of keys to values",
    "model": "a mapping of keys to values",
}


class SuiteModel(BaseModel):
    """Base of every mapping in the suite language: unknown keys are errors, instances are frozen,
    every key is described.

    `unsupported_keys` belong to the language, but this version does not act on them;
    `misplaced_keys` belong to other tools or to other parts of the language. Both map a key to what
    to write instead. `unknown_key_hint` says where any other key may belong.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True
    )
    unsupported_keys: ClassVar[Mapping[str, str]] = {}
    misplaced_keys: ClassVar[Mapping[str, str]] = {}
    unknown_key_hint: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _record_reader(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, dict) and isinstance(info.context, dict):
            info.context[id(value)] = cls
        return value

    def given_values(self, among: Collection[str] | None = None) -> dict[str, Any]:
        """The keys that were written (of those `among`, where it is given), as plain data.

        As `model_dump(exclude_unset=True)`, which would first have to build a serializer.
        """
        names = (
            self.model_fields_set if among is None else self.model_fields_set.intersection(among)
        )
        return {
            name: _to_plain(getattr(self, name))
            for name in type(self).model_fields
            if name in names
        }


def _to_plain(value: Any) -> Any:
    if isinstance(value, SuiteModel):
        return value.given_values()
    return [_to_plain(item) for item in value] if isinstance(value, list) else value


def shape_tag(value: Any) -> str:
    """The tag of the branch of a union that reads `value`."""
    if isinstance(value, Mapping | BaseModel):
        return MAPPING
    if isinstance(value, bool):
        return FLAG
    return LIST if isinstance(value, list) else SCALAR


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str | Mapping) else value


OneOrMore = BeforeValidator(_as_list)
"""Lets a list of one be written without its brackets."""


def read_model(
    model: type[M], value: Any, document: Document, problems: Problems, at: KeyPath = ()
) -> M | None:
    """Validates `value`, which is at `at`, as `model`; None, with its errors added to
    `problems`, where it is invalid.
    """
    readers: dict[int, type[BaseModel]] = {}
    try:
        return model.model_validate(value, context=readers)
    except ValidationError as invalid:
        for place, message in explain_errors(invalid, value, document, at, readers):
            problems.add(place, message)
        return None


def explain_errors(
    invalid: ValidationError,
    value: Any,
    document: Document,
    at: KeyPath,
    readers: Mapping[int, type[BaseModel]],
    concerns: Callable[[ErrorDetails], bool] = lambda _: True,
) -> Iterator[tuple[Place, str]]:
    """Yields the place and sentence of each error that `concerns` us. A misspelt key is told as
    such, and not as missing too; the same error of many items of a list once, with a count.
    """
    errors = [each for each in invalid.errors(include_url=False) if concerns(each)]
    misspelt = {_meant_key(error, value, readers) for error in errors}
    repeated: dict[tuple[KeyPath, str], list[Place]] = {}
    for error in errors:
        if error["type"] != "missing" or error["loc"] not in misspelt:
            place, message = explain_error(error, value, document, at, readers)
            shape = tuple("*" if isinstance(part, int) else part for part in error["loc"])
            repeated.setdefault((shape, message), []).append(place)
    for (_, message), places in repeated.items():
        if len(places) > _LISTED:
            yield places[0], f"{message}; the same in {len(places) - 1:,} more places"
        else:
            yield from ((place, message) for place in places)


def _meant_key(
    error: ErrorDetails, value: Any, readers: Mapping[int, type[BaseModel]]
) -> KeyPath | None:
    """The location of the key that an unknown key was probably meant as."""
    *holder, key = error["loc"] or ("",)
    reader = readers.get(id(value_at(value, tuple(holder))))
    if error["type"] != "extra_forbidden" or reader is None:
        return None
    close = nearest_match(str(key), _key_names(reader))
    return None if close is None else (*holder, close)


def _key_names(reader: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in reader.model_fields.items()]


def read_partial_model(
    model: type[M], value: Any, document: Document, problems: Problems, instead: Mapping[str, Any]
) -> M | None:
    """As `read_model`, but leaves out what is invalid, so that the rest can be checked too.

    An invalid key is as if it were not there; in a list, invalid items become None. `instead` has
    values for required keys that are invalid or missing. None where that is not enough.
    """
    found = read_model(model, value, document, problems)
    if found is not None or not isinstance(value, dict):
        return found
    wrong, listed = _find_wrong_keys(model, value)
    right = {**instead, **{key: item for key, item in value.items() if key not in wrong}}
    right |= _valid_parts(model, right, value, wrong)
    try:
        found = model.model_validate(right)
    except ValidationError:  # what is still wrong has been noted above
        return None
    lists = {
        key: _valid_items(model, right, key, value[key])
        for key in listed
        if isinstance(value.get(key), list)
    }
    return found.model_copy(
        update={key: items for key, items in lists.items() if key in model.model_fields}
    )


def _valid_parts(
    model: type[BaseModel],
    right: Mapping[str, Any],
    value: Mapping[str, Any],
    wrong: Mapping[Any, set[Any]],
) -> dict[Any, Any]:
    """Of the keys whose values are invalid mappings, those that are valid without what is wrong in
    them.
    """
    found = {}
    for key, inner in wrong.items():
        part = value.get(key)
        if isinstance(part, dict):
            kept = {name: item for name, item in part.items() if name not in inner}
            with suppress(ValidationError):
                model.model_validate({**right, key: kept})
                found[key] = kept
    return found


def _find_wrong_keys(
    model: type[BaseModel], value: dict[str, Any]
) -> tuple[dict[Any, set[Any]], set[Any]]:
    """The keys with invalid values, each with what is wrong in it; and those of them that hold a
    list with invalid items, or an empty list.
    """
    try:
        model.model_validate(value)
    except ValidationError as invalid:
        errors = [error for error in invalid.errors(include_url=False) if error["loc"]]
        items = (
            each["loc"][0]
            for each in errors
            if each["type"] == "too_short" or any(isinstance(part, int) for part in each["loc"])
        )
        wrong: dict[Any, set[Any]] = {}
        for error in errors:
            wrong.setdefault(error["loc"][0], set()).update(error["loc"][1:2])
        return wrong, set(items)
    return {}, set()


def _valid_items(
    model: type[BaseModel], right: Mapping[str, Any], key: str, items: list[Any]
) -> list[Any]:
    """The items that are valid by themselves, None in the place of the others."""
    checked: list[Any] = []
    for item in items:
        try:
            checked.extend(getattr(model.model_validate({**right, key: [item]}), key))
        except (ValidationError, AttributeError):
            checked.append(None)
    return checked


def explain_error(
    error: ErrorDetails,
    value: Any,
    document: Document,
    at: KeyPath,
    readers: Mapping[int, type[BaseModel]],
) -> tuple[Place, str]:
    """The place of a pydantic error, and the error as one sentence."""
    location = at + _written_location(error["loc"], value)
    parts = [part for part in location if not (isinstance(part, str) and part.startswith("<"))]
    name = (
        "the value" if not parts else f"`{parts[-1]}`" if isinstance(parts[-1], str) else "the item"
    )
    if error["type"] == "extra_forbidden":
        location = at + error["loc"]
        reader = readers.get(id(value_at(value, error["loc"][:-1])))
        return document.place_of(location, key=True), _unknown_key_message(
            str(error["loc"][-1]), reader
        )
    if error["type"] == "missing":
        return (
            document.place_of((at + error["loc"])[:-1]),
            f"`{error['loc'][-1]}` is missing{_field_description(error, value, readers)}",
        )
    joint = (
        ": " if error["type"] == "value_error" else " "
    )  # a validator's own words are a sentence already
    return document.place_of(location), f"{name}{joint}{describe_value_error(error)}"


def _written_location(location: KeyPath, value: Any) -> KeyPath:
    """The part of a location that is written: a short form, such as a bare duration for its total,
    has no keys of its own.
    """
    for depth, part in enumerate(location):
        if not isinstance(value, dict | list | tuple):
            return location[:depth]
        with suppress(KeyError, IndexError, TypeError):
            value = value[part]  # type: ignore[index] # as in value_at
    return location


def _unknown_key_message(key: str, reader: type[BaseModel] | None) -> str:
    if reader is None:
        return f"unknown key `{key}`; remove it"
    unsupported: Mapping[str, str] = getattr(reader, "unsupported_keys", {})
    if key in unsupported:
        return f"`{key}:` is not supported by this version; {unsupported[key]}"
    misplaced: Mapping[str, str] = getattr(reader, "misplaced_keys", {})
    if key in misplaced:
        return f"there is no key `{key}` here; {misplaced[key]}"
    names = _key_names(reader)
    hint: str = getattr(reader, "unknown_key_hint", "")
    return (
        f"unknown key `{key}`;"
        f" {hint if hint and nearest_match(key, names) is None else did_you_mean(key, names)}"
    )


def _field_description(
    error: ErrorDetails, value: Any, readers: Mapping[int, type[BaseModel]]
) -> str:
    reader = readers.get(id(value_at(value, error["loc"][:-1])))
    field = reader.model_fields.get(str(error["loc"][-1])) if reader else None
    return (
        f"; it is {field.description[0].lower()}{field.description[1:].rstrip('.')}"
        if field and field.description
        else ""
    )


def describe_value_error(error: ErrorDetails) -> str:
    """What is wrong with a value: the rest of a sentence that begins with its name."""
    kind, given = error["type"], error["input"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "union_tag_invalid":
        shapes = [name for tag, name in _SHAPES.items() if tag in error["ctx"]["expected_tags"]]
        return f"should be {' or '.join(shapes)}, not {quote_value(given)}"
    if kind == "too_short":
        return "is empty; give at least one"
    expected = _EXPECTED.get(kind.split("_")[0])
    if expected and kind.endswith(("_type", "_parsing", "_from_float", "_number")):
        plainly = (
            expected.removesuffix(" (quote it)") if isinstance(given, dict | list) else expected
        )
        return f"should be {plainly}, not {quote_value(given)}"
    message = error["msg"].replace("Input should", "should")
    return f"{message[0].lower()}{message[1:]}, not {quote_value(given)}"


def value_at(value: Any, location: KeyPath) -> Any:
    """The part of `value` at `location`. Tags of unions, which are in no document, are skipped."""
    for part in location:
        if isinstance(value, dict | list | tuple):
            with suppress(KeyError, IndexError, TypeError):
                value = value[part]  # type: ignore[index] # a part that is of the other kind is skipped like one that is not there
    return value


def check_name(value: Any) -> str:
    """`value` if it can name a value of an axis. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError(f"should be text, not {quote_value(value)}")  # noqa: TRY004 - pydantic reports only ValueErrors
    if not value.strip() or value != value.strip() or len(value) > 200 or not _is_one_line(value):
        raise ValueError(
            f"should be one line of 1 to 200 printable characters, not {quote_value(value)}"
        )
    return value


def _is_one_line(value: str) -> bool:
    """Whether a name can be printed. Characters that only join or space others belong to many
    scripts; those that reorder text do not belong in a name.
    """
    if value.isprintable():
        return True
    hidden = [character for character in value if not character.isprintable()]
    return len(hidden) < len(value) and not any(
        category(character) in _UNPRINTABLE or character in _REORDERING for character in hidden
    )


Name = Annotated[str, BeforeValidator(check_name)]
"""The name of something that groups results: printed in tables and used in gates, so one short
line."""
