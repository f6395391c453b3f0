"""Where a `Config` comes from: defaults < a TOML file < ``POCKETOPTION_*`` < arguments.

Everything is derived from the fields of `Config`: what has a plain type can stand in a file and in the environment;
callbacks, seams and contexts are given in code. A value that cannot be used is a `ConfigError` whose path says where
it was written. The SSID is a `Secret` from the moment in which it is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from potrio.client.config import Config
from potrio.client.plain import holds_secret, is_plain, read_plain, read_text
from potrio.errors import ConfigError
from potrio.logs import potrio_logger
from potrio.seam import REAL, Seam
from potrio.secrets import Secret

__all__ = ["Setting", "Settings", "load_config", "read_settings", "warn_if_shared"]

PREFIX: Final = "POCKETOPTION_"
FILE_VARIABLE: Final = "POCKETOPTION_CONFIG"
DEFAULT_FILE: Final = "potrio.toml"
TABLE: Final = "client"
SSID_FILE: Final = "ssid_file"
LOG: Final = potrio_logger("settings")
"""In a file, the environment or an argument: where to read the SSID, in place of the SSID itself."""

ALIASES: Final = {"TIMEOUT": "handshake_timeout_s"}
"""Variables with another name than their field, besides the one they have as every field does."""

DEFAULT: Final = "default"


class Setting(msgspec.Struct, frozen=True):
    """The value of one field, and where it was written: ``default``, a file, a variable, or ``argument``."""

    name: str
    value: Any
    source: str

    @property
    def path(self) -> str:
        """How an error names it: ``potrio.toml: client.region``, ``environment: POCKETOPTION_REGION``."""
        return self.name if self.source in (DEFAULT, "argument") else self.source


class Settings(msgspec.Struct, frozen=True):
    """All fields of `Config` with their sources, in order; made by `read_settings`."""

    fields: tuple[Setting, ...]

    def config(self) -> Config:
        """The `Config`, checked as a whole.

        Raises:
            ConfigError: a value cannot be used, or there is no SSID.
        """
        given = {each.name: each for each in self.fields if each.source != DEFAULT}
        if "ssid" not in given or not given["ssid"].value:
            raise ConfigError(
                "ssid",
                f"there is none: set {PREFIX}SSID, or ssid_file in {DEFAULT_FILE}, or give it as an argument",
            )
        try:
            config = Config(**{name: each.value for name, each in given.items()}).checked()
            config.parsed_ssid()
        except ConfigError as error:
            problem = ConfigError(given[error.path].path if error.path in given else error.path, error.reason)
            if type(error) is not ConfigError:
                problem = error  # an SsidError: its type says more than a path could
            del given
        else:
            return config
        raise problem


def load_config(
    path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    seam: Seam = REAL,
    **arguments: Any,
) -> Config:
    """Load a `Config`: defaults < TOML < environment < arguments.

    Args:
        path: a TOML file that must be there; without one that of ``$POCKETOPTION_CONFIG``, which must be there too,
            or ``potrio.toml`` in this folder, if there is one. Its table is ``[client]``.
        environ: variables to use in place of the process's.
        seam: the door to files and the environment; also the `Config`'s own, unless it is `REAL`.
        arguments: fields of `Config`; None stands for "not given".

    Raises:
        ConfigError: naming the place: ``potrio.toml: client.handshake_timeout_s``,
            ``environment: POCKETOPTION_TIMEOUT``.
    """
    return read_settings(path, environ, seam=seam, **arguments).config()


def read_settings(
    path: str | Path | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    seam: Seam = REAL,
    **arguments: Any,
) -> Settings:
    """Read what `load_config` reads, with the sources; arguments and errors as there. An SSID may be missing."""
    variables = potrio_variables(seam.environment() if environ is None else environ)
    del environ
    found: dict[str, Setting] = {}
    file_variable = variables.pop(FILE_VARIABLE, None)
    named = path if path is not None or file_variable is None else str(file_variable)
    from_file(Path(DEFAULT_FILE if named is None else named), found, seam, is_optional=named is None)
    from_environment(variables, found, seam)
    if seam is not REAL:
        arguments["seam"] = seam
    from_arguments(arguments, found, seam)
    return Settings(
        tuple(
            found.get(field.name) or Setting(field.name, None if field.required else field.default, DEFAULT)
            for field in FIELDS.values()
        )
    )


# --- the sources -----------------------------------------------------------------------------------------------------


def from_file(path: Path, found: dict[str, Setting], seam: Seam, *, is_optional: bool) -> None:
    """Read the table ``[client]`` of a TOML file."""
    import tomllib  # its patterns take a while to compile, and most programs read no file

    try:
        table = tomllib.loads(seam.read_file(path).decode())
    except OSError as error:
        if is_optional and isinstance(error, FileNotFoundError):
            return
        problem = error.strerror or "cannot be read"
    except UnicodeDecodeError:
        problem = "is not text in UTF-8"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}"
    else:
        read_table(path, table, found, seam)
        return
    raise ConfigError(str(path), problem)  # outside of the handlers: those errors hold what was read


def read_table(path: Path, table: dict[str, Any], found: dict[str, Setting], seam: Seam) -> None:
    """Take the fields out of a parsed file; secrets first, so that no error of another field has them around."""
    hide(table)
    refuse_unknown(table, (TABLE,), f"{path}")
    values = table.get(TABLE, {})
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: {TABLE}", "must be a table: [client]")
    refuse_unknown(values, (*FIELDS, SSID_FILE), f"{path}: {TABLE}", dot=True)
    for name, value in values.items():
        place = f"{path}: {TABLE}.{name}"
        if name == SSID_FILE:
            found["ssid"] = Setting("ssid", read_ssid_file(value, place, seam), place)
        else:
            found[name] = Setting(name, read_plain(value, plain_type(name, place), place), place)


def potrio_variables(variables: Mapping[str, str]) -> dict[str, str | Secret]:
    """The variables that begin with ``POCKETOPTION_`` and say something, secrets as `Secret`.

    Short names come first, so that a field's own variable has the last word.
    """
    secret = {f"{PREFIX}{name.upper()}" for name, field in FIELDS.items() if holds_secret(field.type)}
    ours = (name for name in variables if name.startswith(PREFIX) and variables[name].strip())
    return {
        name: Secret(variables[name].strip()) if name in secret else variables[name].strip()
        for name in sorted(
            ours, key=lambda name: name.removeprefix(PREFIX) not in (*ALIASES, SSID_FILE.upper())
        )
    }


def from_environment(variables: dict[str, str | Secret], found: dict[str, Setting], seam: Seam) -> None:
    """Read the variables that begin with ``POCKETOPTION_``."""
    names = {name.upper(): name for name in (*FIELDS, SSID_FILE)} | ALIASES
    for variable, text in variables.items():
        key, place = variable.removeprefix(PREFIX), f"environment: {variable}"
        if key not in names:
            raise ConfigError(place, f"there is no such variable{meant(key, names, PREFIX)}")
        name = names[key]
        if isinstance(text, Secret):
            found[name] = Setting(name, text, place)
        elif name == SSID_FILE:
            if f"{PREFIX}SSID" not in variables:
                found["ssid"] = Setting("ssid", read_ssid_file(text, place, seam), place)
        else:
            found[name] = Setting(name, read_text(text, plain_type(name, place), place), place)


def from_arguments(arguments: dict[str, Any], found: dict[str, Setting], seam: Seam) -> None:
    """Take what was given in code: any type the field has; None stands for "not given"."""
    hide(arguments)
    refuse_unknown(arguments, (*FIELDS, SSID_FILE), "")
    for name, value in arguments.items():
        if value is None:
            continue
        if name == SSID_FILE:
            found["ssid"] = Setting("ssid", read_ssid_file(str(value), name, seam), "argument")
        else:
            if is_plain(FIELDS[name].type) and not holds_secret(FIELDS[name].type):
                value = read_plain(value, FIELDS[name].type, name)
            found[name] = Setting(name, value, "argument")


# --- pieces ----------------------------------------------------------------------------------------------------------

FIELDS: Final = {field.name: field for field in msgspec.structs.fields(Config)}


def plain_type(name: str, place: str) -> Any:
    """The type of a field that may be written down."""
    if not is_plain(FIELDS[name].type):
        raise ConfigError(place, "can only be given in code, as an argument")
    return FIELDS[name].type


def hide(values: dict[str, Any]) -> None:
    """Put the text of secret fields into `Secret`, in place, also where they stand in a wrong table."""
    for name, value in values.items():
        if isinstance(value, dict):
            hide(value)
        elif isinstance(value, str) and name in FIELDS and holds_secret(FIELDS[name].type):
            values[name] = Secret(value.strip())


def warn_if_shared(path: Path, seam: Seam) -> None:
    """Say in the log that others on this machine may read a file with an SSID.

    It is used nevertheless: in a container or on a file system without modes there may be no other way.

    Raises:
        OSError: it is not there.
    """
    if not seam.is_private(path):
        LOG.warning("%s: others on this machine may read the SSID; chmod 600 it", path)


def read_ssid_file(path: object, place: str, seam: Seam) -> Secret:
    """Read the SSID out of a file of its own; what it holds is never in an error."""
    if not isinstance(path, str):
        raise ConfigError(place, "must be the name of a file")
    try:
        secret = Secret(seam.read_file(Path(path).expanduser()).decode().strip())
        warn_if_shared(Path(path).expanduser(), seam)
        return secret
    except OSError as error:
        problem = f"{path}: {error.strerror or 'cannot be read'}"
    except UnicodeDecodeError:
        problem = f"{path}: not text in UTF-8"
    raise ConfigError(place, problem)


def refuse_unknown(
    values: Mapping[str, Any], known: tuple[str, ...], place: str, *, dot: bool = False
) -> None:
    """Refuse a key that is none of ours; a misspelt one must not be silently without effect."""
    for name in values:
        if name not in known:
            where = f"{place}.{name}" if dot else f"{place}: {name}" if place else name
            raise ConfigError(where, f"there is no such key{meant(name, known)}")


def meant(name: str, known: object, prefix: str = "") -> str:
    """What a misspelt name was probably meant to be."""
    from difflib import get_close_matches  # only for the error

    close = get_close_matches(name, list(known), 1, 0.6)  # type: ignore[call-overload]  # any iterable of names
    return f"; did you mean {prefix}{close[0]}?" if close else ""
