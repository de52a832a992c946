"""What the server writes to its log: where a fault happened, never with which values.

The message of an exception carries what somebody typed, and PostgreSQL's the whole row
("Failing row contains …"): a log lies beside the record and is read by other people.
"""

import copy
import logging
import traceback
from collections.abc import Iterator


class WithoutValues(logging.Formatter):
    """Of each exception its type and its frames, and of those that led to it."""

    def format(self, record: logging.LogRecord) -> str:
        ours = copy.copy(record)
        ours.exc_text = None  # what another handler made of it has the message
        return super().format(ours)

    def formatException(self, exc_info) -> str:  # noqa: N802 (the library's name)
        fault = exc_info[1]
        return "\n".join(told(fault)) if fault is not None else ""


def told(fault: BaseException, seen: tuple[BaseException, ...] = ()) -> Iterator[str]:
    """A fault in lines, what led to it first; file, line, function and code only."""
    seen = (*seen, fault)
    earlier = fault.__cause__ or (
        None if fault.__suppress_context__ else fault.__context__
    )
    if earlier is not None and earlier not in seen:
        yield from told(earlier, seen)
        yield "which led to:"
    for one in getattr(fault, "exceptions", ()):
        yield from told(one, seen)
        yield "which is part of:"
    for frames in traceback.format_tb(fault.__traceback__):
        yield frames.rstrip("\n")
    yield f"{type(fault).__module__}.{type(fault).__qualname__} (message not logged)"
