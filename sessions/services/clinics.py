"""The clinic: its first set-up, its settings and its chairs."""

from dataclasses import replace
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from sessions.models import IN_A_CHAIR, Chair, Clinic, InfusionSession, User
from sessions.services import staff
from sessions.services.acts import Actor, Refused, Stale, act
from sessions.services.protocols import ship_default_protocol

SETTINGS = (
    *("name", "phone", "emergency_number", "time_zone", "language"),
    *("label_region", "temperature_unit", "pump_resolution_ml_per_h"),
    *("weight_valid_days", "late_entry_minutes", "future_minutes"),
    *("idle_minutes", "absolute_hours", "stale_seconds", "countersign_hours"),
    *("second_factor_roles", "password_words", "consent_required", "wall_initials"),
)
"""What an admin may change; the code and the demo mark stay as they were made."""


def set_up_clinic(
    *,
    name: str,
    time_zone: str,
    label_region: str,
    chairs: int,
    admin_name: str,
    username: str,
    password: str,
    by: Actor,
    language: str = settings.LANGUAGE_CODE,
    is_demo: bool = False,
) -> tuple[Clinic, User]:
    """Make the first clinic of a server, whole or not at all.

    Chairs are numbered from 01. The shipped protocol comes with it as a draft: the
    clinic approves its own version before its first Start.
    """
    with transaction.atomic():
        clinic, admin = _first_clinic(
            {
                "name": name,
                "code": slugify(name)[:20] or "clinic",
                "time_zone": time_zone,
                "label_region": label_region,
                "language": language,
                "is_demo": is_demo,
            },
            chairs=chairs,
            admin={"name": admin_name, "username": username, "password": password},
            by=by,
        )
        ship_default_protocol(clinic, by=replace(by, clinic=clinic, user=admin))
    return clinic, admin


def _first_clinic(
    columns: dict[str, Any], *, chairs: int, admin: dict[str, str], by: Actor
) -> tuple[Clinic, User]:
    with act("clinic.set-up", by=by) as done:
        if Clinic.objects.exists():
            raise Refused("This server already has a clinic.")
        clinic = Clinic.objects.create(**columns)
        for number in range(1, chairs + 1):
            Chair.objects.create(clinic=clinic, name=f"{number:02}", position=number)
        user = staff.append_user(clinic=clinic, role=staff.ADMIN, by=by, **admin)
        done.by = replace(by, clinic=clinic, user=user)
        done.on(clinic, after=shown(clinic), chairs=chairs, admin=user.username)
    return clinic, user


def change_clinic(
    *, clinic: Clinic, changes: dict[str, Any], seen: int, by: Actor
) -> Clinic:
    """Change settings of the clinic; the audit keeps what was before and after."""
    strange = set(changes) - set(SETTINGS)
    if strange:
        raise ValueError(f"not a setting: {', '.join(sorted(strange))}")
    with act("clinic.settings", by=by) as done:
        clinic = _locked(clinic, seen)
        before = shown(clinic)
        differing = [
            name
            for name in SETTINGS
            if name in changes and changes[name] != getattr(clinic, name)
        ]
        for name in differing:
            setattr(clinic, name, changes[name])
        after = shown(clinic)
        if differing:
            clinic.version += 1
            clinic.save(update_fields=[*differing, "version"])
        done.on(
            clinic,
            before={name: before[name] for name in differing},
            after={name: after[name] for name in differing},
        )
    return clinic


def add_chair(*, clinic: Clinic, name: str, by: Actor) -> Chair:
    """Add a chair after the last one; its name is free in the clinic."""
    with act("clinic.chair-add", by=by) as done:
        clinic = Clinic.objects.select_for_update().get(pk=clinic.pk)
        _name_is_free(clinic, name)
        last = clinic.chairs.aggregate(last=Max("position"))["last"] or 0
        chair = Chair.objects.create(clinic=clinic, name=name, position=last + 1)
        done.on(chair, after={"name": name, "active": True})
        _next_version(clinic)
    return chair


def change_chair(
    *, chair: Chair, name: str, active: bool, seen: int, by: Actor
) -> Chair:
    """Rename a chair, or take it out of use; one with a patient in it stays."""
    with act("clinic.chair-change", by=by) as done:
        clinic = _locked(chair.clinic, seen)
        chair = Chair.objects.get(pk=chair.pk, clinic=clinic)
        before = {"name": chair.name, "active": chair.active}
        if name != chair.name:
            _name_is_free(clinic, name)
        taken = InfusionSession.objects.filter(
            chair=chair, stage__in=IN_A_CHAIR, entered_in_error=False
        )
        if not active and taken.exists():
            raise Refused("A patient is in this chair now.", field="active")
        chair.name, chair.active = name, active
        chair.save(update_fields=["name", "active"])
        done.on(chair, before=before, after={"name": name, "active": active})
        _next_version(clinic)
    return chair


def shown(clinic: Clinic) -> dict[str, Any]:
    """The settings as the audit writes them; decimals as text."""
    values = {name: getattr(clinic, name) for name in SETTINGS}
    return {
        name: value if isinstance(value, bool | int) else str(value)
        for name, value in values.items()
    }


def _locked(clinic: Clinic, seen: int) -> Clinic:
    now = Clinic.objects.select_for_update().get(pk=clinic.pk)
    if now.version != seen:
        raise Stale("Somebody else changed the settings since this page was drawn.")
    return now


def _next_version(clinic: Clinic) -> None:
    clinic.version += 1
    clinic.save(update_fields=["version"])


def _name_is_free(clinic: Clinic, name: str) -> None:
    if clinic.chairs.filter(name=name).exists():
        raise Refused("There is already a chair {name}.", name=name, field="name")
