"""A flag with what happened to it since, and a reaction with its symptoms."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sessions.models import (
    Flag,
    FlagAction,
    FlagEvent,
    FlagPriority,
    Reaction,
    ReactionSymptom,
)
from sessions.rules.language import inside, say
from sessions.rules.monitoring import RECHECK_MINUTES, Recheck


@dataclass(slots=True, kw_only=True)
class RaisedFlag:
    """A flag with what happened to it since; open until a named user answers it."""

    flag: Flag
    events: list[FlagEvent] = field(default_factory=list)

    @property
    def answer(self) -> FlagEvent | None:
        """The newest act or reason that answered it, and was not taken back."""
        answers = [event for event in self.events if event.kind in FlagEvent.ANSWERS]
        gone = {event.supersedes_id for event in answers}
        kept = [e for e in answers if e.pk not in gone and not e.entered_in_error]
        return kept[-1] if kept else None

    @property
    def is_open(self) -> bool:
        """Latched: nobody has recorded an act or a reason yet."""
        return self.answer is None and not self.is_closed

    @property
    def is_closed(self) -> bool:
        """What it was raised for was corrected or taken back."""
        return any(event.kind == FlagEvent.Kind.CLOSED for event in self.events)

    @property
    def verdict(self) -> FlagEvent | None:
        """The recheck's result, if its set was not taken back since, or the close."""
        verdicts = (FlagEvent.Kind.SETTLED, FlagEvent.Kind.NOT_SETTLED)
        ended = [e for e in self.events if e.kind in (*verdicts, FlagEvent.Kind.CLOSED)]
        gone = {event.supersedes_id for event in ended}
        kept = [e for e in ended if e.pk not in gone and not e.entered_in_error]
        return kept[-1] if kept else None

    @property
    def recheck_at(self) -> datetime | None:
        """When the recheck of an answered flag is due; None once it has a result."""
        if self.answer is None or self.verdict is not None:
            return None
        return self.answer.recheck_at

    @property
    def is_loud(self) -> bool:
        """Of medium or high priority: it holds the next step while it is open."""
        return self.flag.priority != FlagPriority.LOW

    @property
    def recheck(self) -> Recheck | None:
        """The sets it owes: as long as a loud one is open, and until it has settled."""
        minutes = self.flag.recheck_minutes or RECHECK_MINUTES
        if self.recheck_at is not None:
            return Recheck(at=self.recheck_at, minutes=minutes)
        if not (self.is_open and self.is_loud):
            return None
        first = self.flag.event_time + timedelta(minutes=minutes)
        return Recheck(at=first, minutes=minutes)

    @property
    def escalates_at(self) -> datetime | None:
        """When an unanswered flag counts as not acted on."""
        if not self.is_open or self.flag.escalate_minutes is None:
            return None
        return self.flag.event_time + timedelta(minutes=self.flag.escalate_minutes)

    def unanswered_minutes(self, at: datetime) -> int | None:
        """Whole minutes past the time by which it should have been answered."""
        by = self.escalates_at
        return None if by is None or at < by else int((at - by).total_seconds() // 60)

    @property
    def seen_again(self) -> list[FlagEvent]:
        """Later sets that showed the same finding."""
        return [e for e in self.events if e.kind == FlagEvent.Kind.SEEN_AGAIN]

    @property
    def calls(self) -> list[FlagEvent]:
        """Who was called about it."""
        return [e for e in self.events if e.kind == FlagEvent.Kind.CALLED]

    @property
    def series(self) -> dict[str, FlagAction]:
        """What it found, by series of rules, with the action each called for."""
        return {
            found.get("series") or found["rule"]: found["action"]
            for found in self.flag.findings
        }


@dataclass(slots=True, kw_only=True)
class SeenReaction:
    """A reaction with its symptoms; over when somebody said that it resolved.

    `earlier` are the rows that it corrects, the first one first; `newer` is the row
    that corrects or withdraws it. An outcome counts for the whole chain.
    """

    reaction: Reaction
    symptoms: list[ReactionSymptom] = field(default_factory=list)
    is_over: bool = False
    earlier: list[Reaction] = field(default_factory=list)
    newer: Reaction | None = None

    @property
    def stands(self) -> bool:
        """Whether it counts: nobody corrected or withdrew it."""
        return self.newer is None and not self.reaction.entered_in_error

    @property
    def is_newest(self) -> bool:
        """The last version that says what was seen; it may have been withdrawn."""
        said_anew = self.newer is not None and not self.newer.entered_in_error
        return not self.reaction.entered_in_error and not said_anew

    @property
    def ids(self) -> frozenset[int]:
        """Keys of the rows under which its flags, acts and outcomes were kept."""
        return frozenset(row.pk for row in (*self.earlier, self.reaction))

    @property
    def first(self) -> Reaction:
        """The row as it was first written down."""
        return self.earlier[0] if self.earlier else self.reaction

    @property
    def words(self) -> str:
        """`Headache mild, flushing mild`."""
        said = ", ".join(f"{inside(s.name)} {say(s.severity)}" for s in self.symptoms)
        return said[:1].upper() + said[1:]
