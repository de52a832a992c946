"""The chain of acts, verified from its first row to its last."""

from dataclasses import dataclass

from django.db import DEFAULT_DB_ALIAS

from sessions.models import FIRST_PREVIOUS, AuditEntry
from sessions.services.acts import Actor, act


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainCheck:
    """What a walk over the whole chain found; `fault` is empty when all is well."""

    rows: int
    head_hash: str
    sequence: int | None = None
    fault: str = ""


def verify_chain(*, using: str = DEFAULT_DB_ALIAS) -> ChainCheck:
    """Walk the chain in order and stop at the first row that does not fit (I13).

    A changed row no longer gives its own hash; a deleted, inserted or moved one
    leaves a gap in the numbers or breaks the link to the row before.
    """
    rows, head = 0, FIRST_PREVIOUS
    entries = AuditEntry.objects.using(using).order_by("sequence")
    for entry in entries.iterator(chunk_size=1000):
        fault = ""
        if entry.sequence != rows + 1:
            fault = f"row {rows + 1} is missing"
        elif entry.previous_hash != head:
            fault = "it does not follow the row before it"
        elif entry.hash != entry.digest():
            fault = "its content was changed"
        if fault:
            return ChainCheck(
                rows=rows, head_hash=head, sequence=entry.sequence, fault=fault
            )
        rows, head = rows + 1, entry.hash
    return ChainCheck(rows=rows, head_hash=head)


def exported(*, by: Actor, filters: str, rows: int, sha256: str) -> None:
    """Write down that rows of the audit were taken along, which and how many."""
    with act("audit.export", by=by) as done:
        done.detail |= {"filters": filters, "rows": rows, "sha256": sha256}
