"""Sends what nobody should send to every form, and judges the answers."""

import json
import random
import re
import traceback
import unicodedata
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from zoneinfo import ZoneInfo

from django.core.signals import got_request_exception
from django.db import connection, transaction
from django.test import Client
from django.utils import timezone

from sessions.models import AuditEntry, Patient
from tests.conftest import PASSWORD
from tests.hostile import hostile_values, pages
from tests.hostile.world import World, Writes, browser_of, record

ALLOWED = {200, 204, 302, 303, 400, 403, 404, 409, 422}
STRANGE_FIELDS = (
    "recorded_by", "recorded_at", "clinic", "role", "state", "stage", "is_superuser",
    "id", "pk", "patient", "session", "supersedes", "__proto__", "", "x" * 300, "‮",
)  # fmt: skip

NOT_KEPT = {
    "submission_key", "version", "confirmed", "csrfmiddlewaretoken", "password",
    "q",
}  # fmt: skip
"""What a form carries that is no part of the record."""


SHOWN_BY_ROLE = ("order-detail", "infusion-prepare", "infusion-detail", "protocol")
"""Pages that offer each role other forms; the rest are read as one role."""


@dataclass
class Found:
    """A form with who may send it."""

    form: pages.PageForm
    role: str
    page: str


@dataclass
class Sent:
    """One post and what came of it, for the report of a failure."""

    kind: str
    found: Found
    action: str
    data: dict[str, list[str]]
    status: int = 0
    is_fragment: bool = False

    def __str__(self) -> str:
        short = {name: [v[:80] for v in values] for name, values in self.data.items()}
        part = " as a fragment" if self.is_fragment else ""
        who = self.found.role
        return f"{self.status} {self.kind} {self.action}{part} by {who}: {short!r}"


def harvest(world: World) -> list[Found]:
    """Every form that any page shows to any role, each shape once."""
    found: dict[tuple, Found] = {}
    browsers = {role: browser_of(user) for role, user in world.users.items()}
    for address, allowed, url in world.addresses("GET"):
        several = address.name.startswith(SHOWN_BY_ROLE)
        for role in allowed if several else allowed[:1]:
            answer = browsers[role].get(url)
            if answer.streaming or "html" not in answer.headers.get("Content-Type", ""):
                continue
            for form in pages.forms_of(answer.content.decode(), url):
                found.setdefault(form.shape, Found(form, role, url))
    return list(found.values())


@dataclass
class Fuzzer:
    """Throws forms with seeded dice; everything an answer wrote is taken back."""

    world: World
    dice: random.Random
    found: list[Found]
    failures: list[str] = field(default_factory=list)
    statuses: Counter = field(default_factory=Counter)
    saved: Counter = field(default_factory=Counter)
    unkept: Counter = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.errors: list[str] = []
        self.browsers: dict[str, Client] = {}
        self.cookies: dict[str, dict] = {}
        for role, user in self.world.users.items():
            client = browser_of(user, raise_request_exception=False)
            self.browsers[role] = client
            self.cookies[role] = dict(client.cookies)
        self.before = record()
        self.last_entry = AuditEntry.objects.latest("sequence").sequence
        self.by_place: dict[str, list[Found]] = {}
        for each in self.found:
            place = re.sub(r"\d+", "N", each.form.action)
            self.by_place.setdefault(place, []).append(each)
        patient = Patient.objects.get(pk=self.world.ids["patient"][-1])
        self.zone = patient.clinic.zone
        self.plausible = {
            "initials": patient.initials,
            "birth_year": str(patient.birth_date.year),
            "identifiers": f"{patient.initials}{patient.birth_date.year}",
            "password": PASSWORD,
        }
        got_request_exception.connect(self._note)

    def close(self) -> None:
        got_request_exception.disconnect(self._note)

    def _note(self, **_signal) -> None:
        self.errors.append(traceback.format_exc(limit=-4))

    def run(self, count: int) -> None:
        """Send so many posts."""
        sent = 0
        while sent < count:
            sent += self.one()

    def one(self) -> int:
        """One form; a question that comes back is answered with yes, as people do."""
        found = self.dice.choice(self.by_place[self.dice.choice(list(self.by_place))])
        kind = self.dice.choice(KINDS)
        data = self._filled(found)
        action = found.form.action
        action = kind(self, data, found, action) or action
        sent = Sent(kind.__name__.strip("_"), found, action, data)
        sent.is_fragment = self.dice.random() < 0.5
        token = self._post(sent)
        if token and self.dice.random() < 0.8:
            data["confirmed"] = [token]
            self._post(sent)
            return 2
        return 1

    def _filled(self, found: Found) -> dict[str, list[str]]:
        """The form as an ordinary person sends it."""
        data: dict[str, list[str]] = {}
        for name, control in found.form.controls.items():
            values = [value for value in control.values if value]
            if not values:
                values = self._likely(name, control)
            if values:
                data[name] = (
                    values if control.kind in ("checkbox", "select") else values[:1]
                )
        data["submission_key"] = [
            str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        ]
        data.pop("confirmed", None)
        named = [button for button in found.form.buttons if button[0]]
        if named and self.dice.random() < 0.7:
            name, value, _ = self.dice.choice(named)
            data[name] = [value]
        return data

    def _likely(self, name: str, control: pages.Control) -> list[str]:
        if name in self.plausible or "password" in name:
            return [self.plausible.get(name, PASSWORD)]
        if "-" in name and not control.is_required and self.dice.random() < 0.97:
            return []  # a row of a table that most people leave empty
        choices = [each for each in control.choices if each]
        if choices:
            wanted = control.is_required or self.dice.random() < 0.6
            return [self.dice.choice(choices)] if wanted else []
        if control.kind == "datetime-local" or "time" in name:
            return (
                [] if self.dice.random() < 0.7 else [f"{timezone.now():%Y-%m-%dT%H:%M}"]
            )
        if not control.is_required and self.dice.random() < 0.7:
            return []
        for part, value in LIKELY.items():
            if part in name:
                return [value] if value else []
        if control.kind == "date" or name.endswith(
            ("_on", "expires", "expiry", "first", "day", "until")
        ):
            return [date(2027, self.dice.randint(1, 12), 5).isoformat()]
        if control.is_number:
            return [str(self.dice.randint(1, 60))]
        return [f"word {self.dice.randint(10, 99)}"]

    def _post(self, sent: Sent) -> str:
        """Send, judge, take back; the token of a question when one was asked."""
        role = sent.found.role
        client = self.browsers[role]
        client.cookies.clear()
        client.cookies.update(self.cookies[role])
        headers = {"HX-Request": "true"} if sent.is_fragment else {}
        self.errors.clear()
        writes = Writes()
        try:
            with transaction.atomic(), connection.execute_wrapper(writes):
                answer = client.post(sent.action, sent.data, headers=headers)
                after = record() if writes.tables else self.before
                noted = self._noted() if answer.status_code < 400 else []
                transaction.set_rollback(True)
        except UnicodeEncodeError:
            return ""  # a lone surrogate cannot leave a browser at all
        sent.status = answer.status_code
        self.statuses[answer.status_code] += 1
        self._judge(sent, after, noted)
        if answer.status_code == 422:
            match = re.search(rb'name="confirmed" value="(\w+)"', answer.content)
            return match.group(1).decode() if match else ""
        return ""

    def _judge(self, sent: Sent, after: dict, noted: list[str]) -> None:
        if sent.status not in ALLOWED or self.errors:
            self.failures.append(f"{sent}\n{''.join(self.errors)}")
            return
        changed = changes(self.before, after)
        if sent.status >= 400:
            if changed:
                tables = sorted({table for table, _ in changed})
                self.failures.append(f"refused, yet wrote {tables}: {sent}")
            return
        if changed:
            self.saved[re.sub(r"\d+", "N", sent.action.partition("?")[0])] += 1
            self._compare(sent, changed, noted)

    def _noted(self) -> list[str]:
        """What the audit wrote down about this act: reasons stand there alone."""
        new = AuditEntry.objects.filter(sequence__gt=self.last_entry)
        return [
            str(value) for entry in new for value in json.loads(entry.detail).values()
        ]

    def _compare(self, sent: Sent, changed: list, noted: list[str]) -> None:
        """All that was typed is in the record as it was typed."""
        cells = [cell for _, row in changed for cell in row if cell is not None]
        words = {str(cell) for cell in cells} | set(noted)
        words |= {f"{moment:%Y-%m-%d %H:%M}" for moment in self._moments(words)}
        joined = "\n".join(words)
        for name, values in sent.data.items():
            control = sent.found.form.controls.get(name)
            if control is None or name in NOT_KEPT or control.choices:
                continue
            if "password" in name or control.kind == "hidden":
                continue
            for value in values:
                typed = (
                    unicodedata.normalize("NFC", value).replace("\r\n", "\n").strip()
                )
                if value in control.values and self._stands(typed):
                    continue  # as the page had it: nothing of it is written anew
                if typed and not _kept(typed, cells, words, joined, self.zone):
                    self.unkept[name] += 1
                    if name not in KEPT_OTHERWISE:
                        self.failures.append(
                            f"{name}={value[:80]!r} not in the record: {sent}"
                        )

    def _moments(self, words: set[str]) -> Iterator[datetime]:
        """The moments among what was written, on the clock of the clinic."""
        for word in filter(MOMENT.match, words):
            moment = datetime.fromisoformat(word)
            yield moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(self.zone)

    def _stands(self, typed: str) -> bool:
        """Whether the record held this very text before."""
        return any(typed in row for rows in self.before.values() for row in rows)


MOMENT = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d")
KEPT_OTHERWISE = {"identifiers"}
"""Initials and year stand in two columns."""

LIKELY = {
    "weight": "72",
    "height": "168",
    "systolic": "128",
    "diastolic": "78",
    "pulse": "76",
    "respiratory": "16",
    "spo2": "98",
    "temperature": "36.7",
    "birth_date": "1980-05-06",
    "dose_g_per_kg": "0.4",
    "fixed_dose": "",
    "interval_weeks": "4",
    "days": "1",
    "cycles": "6",
    "value": "1.4",
    "username": "new.name",
    "expires": "2027-01-05",
    "ml_per_h": "36",
    "gauge": "22 G",
    "grams": "10",
    "lot": "P100512345",
}
"""What an ordinary person types into a box with such a name."""


def changes(before: dict, after: dict) -> list[tuple[str, tuple]]:
    """Each row that is new or other than before, with its table; gone rows as empty."""
    found = []
    for table, rows in after.items():
        if rows != before[table]:
            known = {repr(row) for row in before[table]}
            found += [(table, row) for row in rows if repr(row) not in known]
            found += [(table, ())] * (len(before[table]) > len(rows))
    return found


def _kept(
    typed: str, cells: list, words: set[str], joined: str, zone: ZoneInfo
) -> bool:
    if typed in words or (len(typed) > 3 and typed in joined):
        return True
    try:
        number = Decimal(typed)
        if any(
            isinstance(cell, int | float | Decimal) and Decimal(str(cell)) == number
            for cell in cells
        ):
            return True
    except InvalidOperation:
        pass
    if re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d.*", typed):
        try:
            moment = datetime.fromisoformat(typed)
        except ValueError:
            return False
        if moment.tzinfo is not None:
            moment = moment.astimezone(zone)
        return f"{moment:%Y-%m-%d %H:%M}" in joined
    return False


# ── ways of being hostile: each changes the data, or gives another address ─────────


def _honest(fuzzer, data, found, action):
    pass


def _values(fuzzer, data, found, action):
    """One to three boxes hold something odd, of the kind they ask for."""
    dice = fuzzer.dice
    names = [n for n, c in found.form.controls.items() if c.kind != "hidden"]
    for name in dice.sample(names, min(len(names), dice.randint(1, 3))):
        kind = found.form.controls[name].kind
        pools = {
            "date": hostile_values.DAYS,
            "datetime-local": hostile_values.TIMES,
        }
        likely = pools.get(kind)
        if likely is None:
            numeric = any(
                part in name for part in ("kg", "mmhg", "ml", "pulse", "spo2")
            )
            likely = hostile_values.NUMBERS if numeric else hostile_values.TEXTS
        pool = likely if dice.random() < 0.7 else hostile_values.ALL
        data[name] = [dice.choice(pool)]


def _everything(fuzzer, data, found, action):
    """Every box holds something odd, the hidden ones too."""
    for name in found.form.controls:
        data[name] = [fuzzer.dice.choice(hostile_values.ALL)]


def _missing(fuzzer, data, found, action):
    names = sorted(data)
    for name in fuzzer.dice.sample(names, fuzzer.dice.randint(1, len(names))):
        del data[name]


def _twice(fuzzer, data, found, action):
    name = fuzzer.dice.choice(sorted(data))
    data[name] = [*data[name], fuzzer.dice.choice(["", *data[name], "other"])]


def _unknown(fuzzer, data, found, action):
    data[fuzzer.dice.choice(STRANGE_FIELDS)] = [fuzzer.dice.choice(hostile_values.ALL)]


def _stale(fuzzer, data, found, action):
    data["version"] = [fuzzer.dice.choice((*hostile_values.WHOLES, "²", "0001"))]


def _broken_key(fuzzer, data, found, action):
    data["submission_key"] = [fuzzer.dice.choice(hostile_values.KEYS)]


def _wrong_choice(fuzzer, data, found, action):
    for name, control in found.form.controls.items():
        if control.choices or control.kind == "hidden":
            data[name] = [
                fuzzer.dice.choice(hostile_values.WHOLES + hostile_values.TEXTS)
            ]


def _wrong_row(fuzzer, data, found, action):
    """The ids in the address are another row's, another clinic's, or nobody's."""
    strange = [*fuzzer.world.strange.values(), 0, 999999, 2**63, 2**80]
    strange += [pk for each in fuzzer.world.ids.values() for pk in each]
    return re.sub(r"(?<=/)\d+(?=/)", lambda _: str(fuzzer.dice.choice(strange)), action)


def _unasked(fuzzer, data, found, action):
    """An answer to a question that nobody asked."""
    data["confirmed"] = [fuzzer.dice.choice(("yes", "0" * 16, "é", "\x00"))]


def _strange_query(fuzzer, data, found, action):
    query = fuzzer.dice.choice(
        ("a=%00", "page=-1", "page=9" * 20, "sort=__class__", "q=%ff%fe", "format=..")
    )
    return f"{action}{'&' if '?' in action else '?'}{query}"


KINDS = [
    *[_honest] * 3,
    *[_values] * 6,
    _everything,
    _missing,
    _twice,
    _unknown,
    _stale,
    _broken_key,
    _wrong_choice,
    _wrong_row,
    _unasked,
    _strange_query,
]
