"""FHIR R4 bundles read into plain values; what cannot be understood is refused.

A file is taken whole or not at all. A resource that this product does not keep is
never dropped silently: it is named, with the reason, in `Found.left_out`.
"""

import gzip
import json
import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from io import BytesIO
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _

from sessions.catalogue.fhir_conditions import (
    SNOMED,
    no_known_allergy,
    stated_risks,
)
from sessions.models import Height, Sex, Weight
from sessions.rules.bodies import age_years, weight_questions
from sessions.rules.quantities import plain

MOST_BYTES = 64 * 1024 * 1024
"""Larger files, packed or unpacked, are refused before they are read."""

LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
WEIGHT, HEIGHT = "29463-7", "8302-2"
TO_KG = {
    "kg": Decimal(1),
    "g": Decimal("0.001"),
    "[lb_av]": Decimal("0.45359237"),
}
TO_CM = {"cm": Decimal(1), "m": Decimal(100), "[in_i]": Decimal("2.54")}
"""UCUM units that are converted, all exactly; every other unit is refused."""

COUNTS = {"final", "amended", "corrected"}
REFUTED = {"refuted", "entered-in-error"}
ACTIVE = {"active", "recurrence", "relapse"}
_FULL_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MOMENT = re.compile(
    r"\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?(Z|[+-]\d{2}:\d{2})?)?",
    re.ASCII,
)
JOINERS = {"\u200c", "\u200d"}


class BundleError(ValueError):
    """A file cannot be imported; the message names the entry and the reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row to be kept: `kind` is weight, height, allergy or risk."""

    kind: str
    source: str
    event_time: datetime | None
    fields: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Found:
    """One patient of a bundle with what is kept about it, and what is left out."""

    header: dict[str, Any]
    source: str
    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Entry(NamedTuple):
    """One entry of a bundle, with the words that name it in a message."""

    number: int
    resource: Mapping[str, Any]
    full_url: str

    @property
    def type(self) -> str:
        return str(self.resource.get("resourceType", ""))

    @property
    def id(self) -> str:
        return str(self.resource.get("id") or self.full_url)

    @property
    def name(self) -> str:
        return _("entry {number} ({type}/{id})").format(
            number=self.number, type=self.type, id=self.id
        )

    @property
    def source(self) -> str:
        return f"fhir:{self.type}/{self.id}"[:200]

    def error(self, message: str) -> BundleError:
        return BundleError(f"{self.name}: {message}")


def read_document(content: bytes) -> dict[str, Any]:
    """Read the bytes of a file, packed with gzip or not, as one JSON object."""
    if content[:2] == b"\x1f\x8b":
        content = _unpacked(content)
    if len(content) > MOST_BYTES:
        raise BundleError(_("The file is larger than 64 MiB."))
    try:
        document = json.loads(
            content.decode("utf-8-sig"),
            parse_float=Decimal,
            parse_constant=_no_number,
            object_pairs_hook=_no_name_twice,
        )
    except UnicodeDecodeError as error:
        raise BundleError(
            _("The file is not UTF-8 (byte {start}).").format(start=error.start)
        ) from error
    except json.JSONDecodeError as error:
        raise BundleError(
            _("The file is not valid JSON: {msg} in line {lineno}.").format(
                msg=error.msg, lineno=error.lineno
            )
        ) from error
    except RecursionError as error:
        raise BundleError(_("The file is nested too deeply.")) from error
    except ValueError as error:
        raise BundleError(
            _("The file is not valid JSON: {error}.").format(error=error)
        ) from error
    if not isinstance(document, dict):
        raise BundleError(_("The file does not hold a FHIR resource."))
    return document


def _unpacked(content: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=BytesIO(content)) as packed:
            return packed.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BundleError(_("The packed file is broken or cut off.")) from error


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        times = Counter(name for name, _ in pairs)
        twice = next(name for name, count in times.items() if count > 1)
        raise ValueError(f"the name {twice[:40]!r} stands twice in one object")
    return read


def patients_in(
    document: Mapping[str, Any], *, zone: ZoneInfo, at: datetime
) -> list[Found]:
    """Read every patient of a bundle with weights, heights, allergies and risks.

    `zone` is the clinic's, for days without a time; nothing may lie after `at`.
    """
    if document.get("resourceType") != "Bundle":
        kind = document.get("resourceType") or _("no resource at all")
        raise BundleError(
            _("The file holds {kind}, not a Bundle.").format(kind=str(kind)[:40])
        )
    entries = list(_entries(document))
    reader = _Reader(entries, zone=zone, at=at)
    if not reader.found:
        raise BundleError(_("The bundle has no Patient."))
    for entry in entries:
        reader.read(entry)
    reader.finish()
    return list(reader.found.values())


def _entries(document: Mapping[str, Any]) -> Iterator[Entry]:
    listed = document.get("entry")
    if not isinstance(listed, list) or not listed:
        raise BundleError(_("The bundle has no entries."))
    seen: set[tuple[str, str]] = set()
    for number, entry in enumerate(listed, start=1):
        if not isinstance(entry, dict) or not isinstance(entry.get("resource"), dict):
            raise BundleError(
                _("entry {number}: has no resource.").format(number=number)
            )
        read = Entry(number, entry["resource"], _text(entry.get("fullUrl")))
        if not read.type:
            raise BundleError(
                _("entry {number}: has no resourceType.").format(number=number)
            )
        if not _text(read.resource.get("id")) and not read.full_url:
            raise read.error(_("has neither an id nor a fullUrl."))
        if (read.type, read.id) in seen:
            raise read.error(_("the same id stands twice in the file."))
        seen.add((read.type, read.id))
        yield read


class _Reader:
    """Collects what belongs to each patient while the entries pass by."""

    def __init__(self, entries: list[Entry], *, zone: ZoneInfo, at: datetime) -> None:
        self.zone, self.at = zone, at
        self.found: dict[str, Found] = {}
        self.by_reference: dict[str, Found] = {}
        self.conditions: dict[tuple[str, str], list[tuple[Entry, str]]] = {}
        self.others: Counter[str] = Counter()
        for entry in entries:
            if entry.type == "Patient":
                found = Found(header=self._header(entry), source=entry.source)
                self.found[entry.id] = found
                for reference in (f"Patient/{entry.id}", entry.full_url):
                    if reference:
                        self.by_reference[reference] = found

    def read(self, entry: Entry) -> None:
        if entry.type == "Observation":
            self._observation(entry)
        elif entry.type == "AllergyIntolerance":
            self._allergy(entry)
        elif entry.type == "Condition":
            self._condition(entry)
        elif entry.type != "Patient":
            self.others[entry.type] += 1

    def finish(self) -> None:
        """Join conditions that state one risk, and name what is never imported."""
        for (patient, risk), stated in self.conditions.items():
            first = stated[0][0]
            names = "; ".join(dict.fromkeys(name for _, name in stated))
            row = Row(
                kind="risk",
                source=first.source,
                event_time=self._when_known(first, "onsetDateTime", "recordedDate"),
                fields={"key": risk, "detail": names[:200]},
            )
            self.found[patient].rows.append(row)
        if self.others:
            kinds = ", ".join(f"{kind} {n}" for kind, n in sorted(self.others.items()))
            for found in self.found.values():
                found.left_out.append(
                    _("not imported by this product: {kinds}").format(kinds=kinds)
                )

    # who it is

    def _header(self, entry: Entry) -> dict[str, Any]:
        resource = entry.resource
        family, given = _official_name(entry)
        gender = _text(resource.get("gender")) or Sex.UNKNOWN
        if gender not in Sex.values:
            raise entry.error(
                _("gender {gender!r} is not known.").format(gender=gender[:20])
            )
        header = {
            "mrn": _clean(entry, _mrn(entry), _("the record number"), 40),
            "family_name": _clean(entry, family, _("the surname"), 120),
            "given_names": _clean(entry, given, _("the given name"), 120),
            "birth_date": self._birth_date(entry),
            "sex": gender,
        }
        header["phone"] = _clean(entry, _phone(resource), _("the phone"), 40)
        deceased = resource.get("deceasedDateTime") or resource.get("deceasedBoolean")
        header["note"] = (
            _("Recorded as deceased where imported from.") if deceased else ""
        )
        return header

    def _birth_date(self, entry: Entry) -> date:
        text = _text(entry.resource.get("birthDate"))
        if not text:
            raise entry.error(_("birthDate is missing."))
        try:
            born = date.fromisoformat(text) if _FULL_DAY.fullmatch(text) else None
        except ValueError:
            born = None
        if born is None:
            raise entry.error(
                _("birthDate {words!r} is not a full day.").format(words=text[:20])
            )
        if not born.year >= 1900 or born > self.at.astimezone(self.zone).date():
            raise entry.error(
                _("birthDate {words} is before 1900 or in the future.").format(
                    words=text
                )
            )
        return born

    # what was measured

    def _observation(self, entry: Entry) -> None:
        codes = _codes(entry.resource.get("code"), LOINC)
        kind = next((code for code in (WEIGHT, HEIGHT) if code in codes), None)
        if kind is None:
            self.others[_("Observation of other codes")] += 1
            return
        found = self._owner(entry, "subject")
        word = _("weight") if kind == WEIGHT else _("height")
        status = _text(entry.resource.get("status"))
        if status not in COUNTS:
            words = _("{word} with status {status}").format(
                word=word, status=status or _("none")
            )
            found.left_out.append(f"{entry.name}: {words}")
            return
        quantity = entry.resource.get("valueQuantity")
        if not isinstance(quantity, dict):
            found.left_out.append(
                _("{name}: {word} without a value").format(name=entry.name, word=word)
            )
            return
        if kind == WEIGHT:
            found.rows.append(self._weight(entry, found, quantity))
        else:
            found.rows.append(self._height(entry, found, quantity))

    def _weight(self, entry: Entry, found: Found, quantity: Mapping[str, Any]) -> Row:
        column = Weight._meta.get_field("weight_kg")
        value, sent = _measure(entry, quantity, TO_KG, column, "kg")
        moment = self._measured_at(entry, found)
        born = found.header["birth_date"]
        for question in weight_questions(
            value,
            years=max(0, age_years(born, moment.astimezone(self.zone).date())),
            last_kg=None,
            height_cm=None,
            most_change_percent=Decimal(10),
        ):
            found.notes.append(
                _("{name}: {question} Kept; look at it.").format(
                    name=entry.name, question=question
                )
            )
        return Row(
            kind="weight",
            source=entry.source,
            event_time=moment,
            fields={"weight_kg": value, "as_typed": sent},
        )

    def _height(self, entry: Entry, found: Found, quantity: Mapping[str, Any]) -> Row:
        column = Height._meta.get_field("height_cm")
        value, sent = _measure(entry, quantity, TO_CM, column, "cm")
        return Row(
            kind="height",
            source=entry.source,
            event_time=self._measured_at(entry, found),
            fields={"height_cm": value, "as_typed": sent},
        )

    def _measured_at(self, entry: Entry, found: Found) -> datetime:
        moment = self._moment(entry, "effectiveDateTime") or self._moment(
            entry, "effectiveInstant"
        )
        if moment is None:
            raise entry.error(_("has no day on which it was measured."))
        if moment > self.at:
            raise entry.error(_("lies in the future."))
        if moment.astimezone(self.zone).date() < found.header["birth_date"]:
            raise entry.error(_("lies before the patient's birth."))
        return moment

    # what is known

    def _allergy(self, entry: Entry) -> None:
        resource = entry.resource
        found = self._owner(entry, "patient")
        name = _concept_name(resource.get("code"))
        status = _one_code(resource.get("clinicalStatus")) or "active"
        verified = _one_code(resource.get("verificationStatus"))
        if verified in REFUTED or status not in ACTIVE:
            why = verified if verified in REFUTED else status
            found.left_out.append(
                _("{name}: allergy {substance}: {why}").format(
                    name=entry.name, substance=name or "?", why=why
                )
            )
            return
        none_known = no_known_allergy() in _codes(resource.get("code"), SNOMED)
        if not name and not none_known:
            raise entry.error(_("the allergy names no substance."))
        reaction, severity = _reaction(resource)
        found.rows.append(
            Row(
                kind="allergy",
                source=entry.source,
                event_time=self._when_known(entry, "recordedDate", "onsetDateTime"),
                fields={
                    "substance": ""
                    if none_known
                    else _clean(entry, name, _("the substance"), 120),
                    "reaction": _clean(entry, reaction, _("the reaction"), 120),
                    "severity": severity,
                    "none_known": none_known,
                },
            )
        )

    def _condition(self, entry: Entry) -> None:
        resource = entry.resource
        found = self._owner(entry, "subject")
        name = _clean(entry, _concept_name(resource.get("code")), _("the name"), 400)
        codes = _codes(resource.get("code"), SNOMED)
        status = _one_code(resource.get("clinicalStatus")) or _("no status")
        verified = _one_code(resource.get("verificationStatus"))
        words = _("Condition {codes} {name}, {status}").format(
            codes=", ".join(codes) or _("without a code"), name=name, status=status
        )
        stated = [s for code in codes for s in stated_risks().get(code, ())]
        if verified in REFUTED:
            found.left_out.append(f"{words}: {verified}")
        elif not stated:
            found.left_out.append(
                _("{words}: states no risk factor").format(words=words)
            )
        for each in stated if verified not in REFUTED else ():
            if status in ACTIVE or each.even_resolved:
                owner = next(k for k, f in self.found.items() if f is found)
                self.conditions.setdefault((owner, each.risk), []).append((entry, name))
            else:
                found.left_out.append(
                    _("{words}: over, so no risk factor").format(words=words)
                )

    # common

    def _owner(self, entry: Entry, element: str) -> Found:
        target = _text(_table(entry.resource.get(element)).get("reference"))
        if not target:
            raise entry.error(
                _("does not say whose it is ({element} is missing).").format(
                    element=element
                )
            )
        if target not in self.by_reference:
            raise entry.error(
                _("belongs to {target!r}, who is not in the file.").format(
                    target=target[:80]
                )
            )
        return self.by_reference[target]

    def _when_known(self, entry: Entry, *elements: str) -> datetime | None:
        """The first of these moments that is whole and not in the future."""
        moments = (self._moment(entry, element) for element in elements)
        return next((m for m in moments if m and m <= self.at), None)

    def _moment(self, entry: Entry, element: str) -> datetime | None:
        """A FHIR dateTime; a day alone is its first minute in the clinic's zone."""
        text = _text(entry.resource.get(element))
        if len(text) < 10:
            return None
        try:
            moment = datetime.fromisoformat(text) if _MOMENT.fullmatch(text) else None
        except ValueError:
            moment = None
        if moment is None:
            raise entry.error(
                _("{element} {words!r} is no time.").format(
                    element=element, words=text[:40]
                )
            )
        if moment.tzinfo is None:
            if len(text) > 10:
                raise entry.error(
                    _("{element} {words!r} has no time zone.").format(
                        element=element, words=text[:40]
                    )
                )
            moment = moment.replace(tzinfo=self.zone)
        if not 1900 <= moment.year <= 2200:
            raise entry.error(
                _("{element} {words!r} is not a plausible year.").format(
                    element=element, words=text[:40]
                )
            )
        return moment.astimezone(UTC)


def _measure(
    entry: Entry,
    quantity: Mapping[str, Any],
    units: Mapping[str, Decimal],
    column: Any,
    unit: str,
) -> tuple[Decimal, str]:
    """A quantity in the unit of a column, and the text as it was sent."""
    value, code = quantity.get("value"), _text(quantity.get("code"))
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise entry.error(_("the value is not a number."))
    if quantity.get("comparator"):
        raise entry.error(_("the value is a limit, not a measurement."))
    if quantity.get("system") != UCUM or code not in units:
        known = ", ".join(units)
        written = code or _text(quantity.get("unit")) or _("none")
        raise entry.error(
            _("unit {written!r} is not one of the UCUM units {known}.").format(
                written=written[:20], known=known
            )
        )
    sent = f"{value} {code}"
    if len(sent) > 40 or abs(Decimal(value).adjusted()) > 20:
        raise entry.error(_("the value has too many digits."))
    exact = Decimal(value) * units[code]
    if not column.low <= exact <= column.high:
        raise entry.error(
            _("{exact} {unit} is impossible: between {low} and {high} {unit}.").format(
                exact=plain(exact)[:20], unit=unit, low=column.low, high=column.high
            )
        )
    step = Decimal(1).scaleb(-column.decimal_places)
    return exact.quantize(step, rounding=ROUND_HALF_UP), sent


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _clean(entry: Entry, text: str, what: str, most: int) -> str:
    """The text as it may be kept: NFC, no control or direction characters."""
    text = unicodedata.normalize("NFC", " ".join(text.split()))
    if any(unicodedata.category(c)[0] == "C" and c not in JOINERS for c in text):
        raise entry.error(
            _("{what} holds an invisible or control character.").format(what=what)
        )
    if len(text) > most:
        raise entry.error(
            _("{what} is longer than {most} characters.").format(what=what, most=most)
        )
    return text


def _official_name(entry: Entry) -> tuple[str, str]:
    names = _tables(entry.resource.get("name"))
    names = [name for name in names if name.get("use") not in ("old", "maiden")]
    names.sort(key=lambda name: name.get("use") != "official")
    if not names:
        raise entry.error(_("the patient has no name."))
    given = names[0].get("given")
    words = [_text(word) for word in given] if isinstance(given, list) else []
    family, given_names = _text(names[0].get("family")), " ".join(filter(None, words))
    if not family.strip() or not given_names.strip():
        raise entry.error(_("the patient's name lacks the surname or the given name."))
    return family, given_names


def _mrn(entry: Entry) -> str:
    """The medical record number: the identifier of type MR."""
    for identifier in _tables(entry.resource.get("identifier")):
        if any(c.get("code") == "MR" for c in _codings(identifier.get("type"))):
            value = _text(identifier.get("value")).strip()
            if value:
                return value
    raise entry.error(_("the patient has no medical record number (type MR)."))


def _phone(resource: Mapping[str, Any]) -> str:
    for way in _tables(resource.get("telecom")):
        if way.get("system") == "phone":
            return _text(way.get("value"))
    return ""


def _table(value: Any) -> Mapping[str, Any]:
    """The value if it is a JSON object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _tables(value: Any) -> list[Mapping[str, Any]]:
    """The JSON objects of a list; anything else holds none."""
    if not isinstance(value, list):
        return []
    return [each for each in value if isinstance(each, dict)]


def _codings(concept: Any) -> list[Mapping[str, Any]]:
    return _tables(_table(concept).get("coding"))


def _codes(concept: Any, system: str) -> list[str]:
    codings = [each for each in _codings(concept) if each.get("system") == system]
    return [code for each in codings if (code := _text(each.get("code")))]


def _one_code(concept: Any) -> str:
    return next((_text(coding.get("code")) for coding in _codings(concept)), "")


def _concept_name(concept: Any) -> str:
    shown = (_text(coding.get("display")) for coding in _codings(concept))
    named = _text(_table(concept).get("text"))
    return named or next((name for name in shown if name), "")


def _reaction(resource: Mapping[str, Any]) -> tuple[str, str]:
    first = next(iter(_tables(resource.get("reaction"))), {})
    names = [_concept_name(each) for each in _tables(first.get("manifestation"))]
    severity = _text(first.get("severity"))
    known = ("mild", "moderate", "severe")
    return ", ".join(filter(None, names)), severity if severity in known else "unknown"
