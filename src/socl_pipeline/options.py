"""The options that several commands have, and the kinds of which many others are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Function = Callable[..., Any]
Decorator = Callable[[Function], Function]

PATH = click.Path(path_type=Path)


def path_option(*flags: str, **given: Any) -> Decorator:
    """Return an option that is a path; its default, if it has one, is shown."""
    return click.option(*flags, type=PATH, show_default=True, **given)


def count_option(*flags: str, least: int = 1, **given: Any) -> Decorator:
    """Return an option that is a whole number from `least` on; its default is shown, too."""
    return click.option(*flags, type=click.IntRange(min=least), show_default=True, **given)


def choice_option(*flags: str, choices: list[str], **given: Any) -> Decorator:
    """Return an option that is one of some words; its default is shown, too."""
    return click.option(*flags, type=click.Choice(choices), show_default=True, **given)


def name_options(*kinds: str) -> Decorator:
    """Return what adds a required option for the config's name of each kind of thing."""

    def add(function: Function) -> Function:
        for kind in reversed(kinds):
            text = f"Name of the {kind} in the config."
            function = click.option(f"--{kind}", required=True, help=text)(function)
        return function

    return add


DEFAULT_CONFIG = "config/demo.yaml"
config_option = path_option("--config", "-c", default=DEFAULT_CONFIG, help="Config file (YAML).")
results_option = path_option("--results", default="results", help="Where artifacts are published.")
cache_option = path_option("--cache", default="work/cache", help="Where they are built and kept.")
log_option = path_option("--log", help="Also write log lines here.")
