"""Settings as flags of the command line."""

from typing import Any

import typer

from service.settings import Settings, flag_of, variable_of


def setting_flag(name: str) -> Any:
    """The flag of a setting."""
    return typer.Option(flag_of(name), help=_help(name))


def setting_switch(name: str) -> Any:
    """The pair of flags of a setting that is on or off."""
    flag = flag_of(name)
    return typer.Option(f"{flag}/--no-{flag.removeprefix('--')}", help=_help(name))


def _help(name: str) -> str:
    field = Settings.model_fields[name]
    return f"{field.description} ({variable_of(name)}; default {field.default})"
