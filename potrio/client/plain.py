"""Plain values: which types of a field can stand in a file, reading them strictly, and writing them as TOML."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

import msgspec

from potrio.client.config import Config
from potrio.errors import ConfigError
from potrio.protocol.ssid import Ssid
from potrio.secrets import Secret

__all__ = ["config_values", "holds_secret", "is_plain", "read_plain", "read_text", "to_toml"]

SCALARS: Final = (str, int, float, bool, Decimal, Path, types.NoneType, Secret, Ssid)
CONTAINERS: Final = (tuple, list, Mapping, dict)
MASK: Final = "***"


def is_plain(annotation: Any) -> bool:
    """Can a value of this type be written down in a file? Everything else (code, sockets, contexts) cannot."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return is_plain(get_args(annotation)[0])
    if origin is Literal:
        return True
    if origin in (Union, types.UnionType) or origin in CONTAINERS:
        return all(each is Ellipsis or is_plain(each) for each in get_args(annotation))
    if not isinstance(annotation, type):
        # collections.abc.Mapping's origin is Mapping itself; what is left is neither a type nor a union of types
        return False
    if issubclass(annotation, msgspec.Struct) and annotation is not Ssid:
        return all(is_plain(field.type) for field in msgspec.structs.fields(annotation))
    return annotation in SCALARS or issubclass(annotation, Enum)


def holds_secret(annotation: Any) -> bool:
    """Is text of this type a secret?"""
    return annotation is Secret or any(holds_secret(each) for each in get_args(annotation))


def read_plain(value: Any, annotation: Any, place: str, *, strict: bool = True) -> Any:
    """Turn a value of TOML, or of an argument, into one of the field's type; nothing is guessed.

    Raises:
        ConfigError: it is of another type; a value that may be secret is not repeated.
    """
    if holds_secret(annotation):
        if isinstance(value, str):
            return Secret(value)
        if isinstance(value, Secret):
            return value
        raise ConfigError(place, "must be text")
    kinds = get_args(annotation)
    if {str, Path} <= set(kinds):  # a path may be given as either: what is read is text, and stays so
        if isinstance(value, Path):
            return value
        annotation = Union[tuple(kind for kind in kinds if kind is not Path)]  # noqa: UP007  # made of a tuple
    try:
        return msgspec.convert(value, annotation, strict=strict, dec_hook=_special)
    except msgspec.ValidationError as error:
        reason, _, inner = str(error).partition(" - at `$")
        below = inner.rstrip("`")
    raise ConfigError(f"{place}{below}", _lower(reason))


def read_text(text: str, annotation: Any, place: str) -> Any:
    """Turn the text of a variable into a value: numbers, ``true``, ``1``; lists with commas, or JSON.

    Raises:
        ConfigError: it says no such value.
    """
    if not _is_container(annotation):
        return read_plain(text, annotation, place, strict=False)
    if text[:1] in "[{":
        try:
            return read_plain(json.loads(text), annotation, place, strict=False)
        except json.JSONDecodeError as error:
            problem = f"is not JSON: {error.msg} at character {error.pos + 1}"
        raise ConfigError(place, problem)
    return read_plain([each.strip() for each in text.split(",")], annotation, place, strict=False)


def config_values(config: Config, *, reveal: bool = False) -> dict[str, Any]:
    """The fields of a `Config` that are not at their default, as plain values for a file.

    Secrets are left out, unless asked for with ``reveal=True``.

    Raises:
        ConfigError: a field is set that no file can hold: to leave it out would be to lose it.
    """
    values: dict[str, Any] = {}
    for field in msgspec.structs.fields(config):
        value = getattr(config, field.name)
        if not field.required and (value is field.default or value == field.default):
            continue
        if not is_plain(field.type):
            raise ConfigError(field.name, "can only be given in code, and no file can hold it")
        if holds_secret(field.type):
            if reveal:
                values[field.name] = _revealed(value)
        else:
            values[field.name] = msgspec.to_builtins(value, enc_hook=str)
    return values


def to_toml(config: Config, *, reveal: bool = False) -> str:
    """The same as the text of a ``potrio.toml``.

    Raises:
        ConfigError: as `config_values`.
    """
    lines = [f"{name} = {_toml(value)}" for name, value in config_values(config, reveal=reveal).items()]
    return "\n".join(["[client]", *lines, ""])


# --- private ---------------------------------------------------------------------------------------------------------


def _special(target: type, value: Any) -> Any:
    if target is Path and isinstance(value, str | Path):
        return Path(value)
    if isinstance(value, target):
        return value
    raise NotImplementedError(f"expected `{target.__name__}`")


def _is_container(annotation: Any) -> bool:
    if get_origin(annotation) in (Union, types.UnionType):
        return any(_is_container(each) for each in get_args(annotation))
    return get_origin(annotation) in CONTAINERS or (
        isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)
    )


def _revealed(value: Any) -> str:
    match value:
        case Ssid():
            return value.frame().reveal()
        case Secret():
            return value.reveal()
        case _:
            return str(value)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _toml(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case dict():
            return (
                "{" + ", ".join(f"{_string(str(key))} = {_toml(each)}" for key, each in value.items()) + "}"
            )
        case list() | tuple():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case _:
            return _string(str(value))


def _string(text: str) -> str:
    """A basic string: JSON's escapes are TOML's, but for the one character that JSON leaves as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
