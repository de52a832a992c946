"""The chain of acts, verified from its first row to its last."""

from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS
from django.utils.translation import gettext as _

from sessions.models import FIRST_PREVIOUS, AuditEntry
from sessions.services.acts import Actor, act


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCheck:
    """What a walk over the whole chain found; `fault` is empty when all is well."""

    rows: int
    head_hash: str
    sequence: int | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last row of the chain as it was known at some time, from outside of it."""

    sequence: int
    hash: str


def verify_chain(
    *, using: str = DEFAULT_DB_ALIAS, known: Head | None = None
) -> ChainCheck:
    """Walk the chain in order and stop at the first row that does not fit (I13).

    A changed row no longer gives its own hash; a deleted, inserted or moved one
    leaves a gap in the numbers or breaks the link to the row before. A chain that was
    cut off at its end, or hashed anew as a whole, fits in itself: it shows only
    against a `known` head, as a backup keeps it.
    """
    rows, head = 0, FIRST_PREVIOUS
    entries = AuditEntry.objects.using(using).order_by("sequence")
    for entry in entries.iterator(chunk_size=1000):
        fault, bad = "", entry.sequence
        if entry.sequence > rows + 1:
            fault, bad = _("row {rows} is missing").format(rows=rows + 1), rows + 1
        elif entry.sequence <= rows:
            fault = _("its number is no number of the chain")
        elif entry.previous_hash != head:
            fault = _("it does not follow the row before it")
        elif entry.hash != entry.digest():
            fault = _("its content was changed")
        elif known and entry.sequence == known.sequence and entry.hash != known.hash:
            fault = _(
                "it is not the row that was the head, so rows up to it were changed"
            )
        if fault:
            return ChainCheck(rows=rows, head_hash=head, sequence=bad, fault=fault)
        rows, head = rows + 1, entry.hash
    if known and rows < known.sequence:
        fault = _("row {rows} is missing, up to {sequence}: cut off").format(
            rows=rows + 1, sequence=known.sequence
        )
        return ChainCheck(rows=rows, head_hash=head, sequence=rows + 1, fault=fault)
    return ChainCheck(rows=rows, head_hash=head)


def exported(*, by: Actor, filters: str, rows: int, sha256: str, format: str) -> None:
    """Write down that rows of the audit were taken along, which and how many."""
    with act("audit.export", by=by) as done:
        done.detail |= {
            "filters": filters,
            "rows": rows,
            "sha256": sha256,
            "format": format,
        }
