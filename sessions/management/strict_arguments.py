"""Command arguments that are refused in one line that names the field, status 2."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sessions.rules.quantities import NumberError, parse_decimal


class StrictParser(CommandParser):
    """Says what is wrong in one line, without the usage text."""

    def error(self, message: str) -> NoReturn:
        """End with status 2 on the command line; raise when called from code."""
        if self.called_from_command_line:
            self.exit(2, f"{_one_line(message)}\n")
        refuse(message)


class StrictCommand(BaseCommand):
    """A command with a fixed form that only computes.

    It needs no database and writes nothing, so it skips the system checks.
    """

    requires_system_checks: list[str] = []  # type: ignore[assignment]

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        """Make the usual parser strict: no abbreviations, one-line errors."""
        parser = super().create_parser(
            prog_name, subcommand, allow_abbrev=False, **kwargs
        )
        parser.__class__ = StrictParser
        return parser


class Once(argparse.Action):
    """Stores a value, and refuses to be given twice."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        given = vars(namespace).setdefault("_given", set())
        if self.dest in given:
            raise argparse.ArgumentError(self, "given twice")
        given.add(self.dest)
        setattr(namespace, self.dest, values)


def number(*, places: int, digits: int) -> Callable[[str], Decimal]:
    """An argument type that reads a number as strictly as the forms do."""

    def read(text: str) -> Decimal:
        try:
            value = parse_decimal(text, places=places, digits=digits)
        except NumberError as error:
            raise argparse.ArgumentTypeError(str(error)) from None
        if value == 0:
            raise argparse.ArgumentTypeError("Must be more than 0.")
        return value

    return read


def refuse(message: str) -> NoReturn:
    """End with status 2 and one line on standard error."""
    raise CommandError(_one_line(message), returncode=2)


def _one_line(message: str) -> str:
    return " ".join(message.split())
