"""Whose protocol a command computes by: the clinic's approved one, else the shipped."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser
from django.db import DatabaseError, connection

from sessions.catalogue.default_protocol import default_policy
from sessions.management.strict_arguments import Once, StrictCommand, refuse
from sessions.models import Clinic, ProtocolVersion
from sessions.rules.dosing_policy import DosingPolicy
from sessions.rules.policy import Policy
from sessions.services import order_plans, protocols


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """A policy, and the clinic whose region and pumps go with it (none: as shipped)."""

    policy: Policy
    dosing: DosingPolicy
    clinic: Clinic | None = None

    @property
    def region(self) -> str:
        """The region of the clinic's labels; without a clinic the shipped one."""
        return self.clinic.label_region if self.clinic else "us"


class PolicyCommand(StrictCommand):
    """A command that computes by a protocol; the database is not needed."""

    def create_parser(
        self, prog_name: str, subcommand: str, **kwargs: Any
    ) -> CommandParser:
        """Let `--version` name a protocol's version instead of Django's."""
        kwargs.setdefault("conflict_handler", "resolve")
        return super().create_parser(prog_name, subcommand, **kwargs)


def add_policy_arguments(parser: CommandParser) -> None:
    """Add the options that choose a protocol."""
    parser.add_argument(
        "--clinic", action=Once, metavar="CODE", help="code of another clinic"
    )
    parser.add_argument(
        "--protocol", action=Once, metavar="CODE", help="code of another protocol"
    )
    parser.add_argument(
        "--version", action=Once, metavar="N", type=int, help="its version"
    )


def chosen_policy(
    *, clinic: str | None, protocol: str | None, version: int | None
) -> Chosen:
    """Find the policy to compute by; an unknown name ends the command.

    Without further words it is the version in force of the first clinic, and the
    shipped default where there is no clinic or nothing is approved.
    """
    place = _clinic(clinic)
    found = _version(place, protocol, version) if place else None
    if found is not None and place is not None:
        return Chosen(
            policy=found.policy,
            dosing=order_plans.dosing_policy(place, found),
            clinic=place,
        )
    shipped = default_policy()
    if protocol not in (None, shipped.code):
        refuse(f"--protocol: no protocol {protocol!r}")
    if version not in (None, shipped.version):
        refuse(f"--version: no version {version} of {shipped.code!r}")
    return Chosen(policy=shipped, dosing=shipped.dosing, clinic=place)


def _clinic(code: str | None) -> Clinic | None:
    """The clinic of that code, or the first; none where there is no database."""
    found = None
    if _database_is_there():
        try:
            clinics = Clinic.objects.order_by("pk")
            found = (clinics.filter(code=code) if code else clinics).first()
        except DatabaseError:
            found = None
    if code and found is None:
        refuse(f"--clinic: no clinic {code!r}")
    return found


def _database_is_there() -> bool:
    """Whether there is a database to ask; asking SQLite would make an empty file."""
    if connection.vendor != "sqlite":
        return True
    name = str(connection.settings_dict["NAME"])
    return "memory" in name or Path(name).exists()


def _version(
    clinic: Clinic, protocol: str | None, version: int | None
) -> ProtocolVersion | None:
    if protocol is None and version is None:
        return protocols.in_force(clinic)
    named = ProtocolVersion.objects.of(clinic).select_related("protocol")
    if protocol is not None:
        named = named.filter(protocol__code=protocol)
    if version is not None:
        return named.filter(number=version).first()
    in_force = protocols.in_force(clinic)
    if in_force is not None and in_force.protocol.code == protocol:
        return in_force
    return named.order_by("-number").first()
