"""What is true of one row. Each noun has its file; import them from here."""

from sessions.models.audit import FIRST_PREVIOUS, AuditEntry
from sessions.models.base import ClinicalQuerySet, ClinicalRow, instant
from sessions.models.clinics import Chair, Clinic, LabelRegion, TemperatureUnit
from sessions.models.flags import Flag, FlagAction, FlagEvent, FlagPriority
from sessions.models.infusions import (
    IN_A_CHAIR,
    STAGE_MOVES,
    Answer,
    GateOverride,
    IdentityCheck,
    InfusionSession,
    LineCheck,
    Outcome,
    Screening,
    SessionRow,
    Stage,
    StageChange,
    Start,
)
from sessions.models.medicines import GivenMedicine
from sessions.models.orders import (
    ORDER_MOVES,
    Basis,
    Order,
    OrderMedicine,
    OrderStatus,
    OrderVersion,
    Purpose,
)
from sessions.models.patients import (
    Allergy,
    Consent,
    Height,
    LabResult,
    Patient,
    PatientRow,
    Presence,
    RiskFactor,
    Severity,
    Sex,
    Weight,
)
from sessions.models.protocols import Protocol, ProtocolEvent, ProtocolVersion
from sessions.models.rates import STANDSTILL, RateChange, RateKind
from sessions.models.reactions import Grade, Reaction, ReactionOutcome, ReactionSymptom
from sessions.models.signatures import Signature
from sessions.models.staff import Theme, User
from sessions.models.vials import Vial, VialEnd
from sessions.models.vitals import Consciousness, VitalSigns, VitalsPurpose

__all__ = [
    "FIRST_PREVIOUS",
    "IN_A_CHAIR",
    "ORDER_MOVES",
    "STAGE_MOVES",
    "STANDSTILL",
    "Allergy",
    "Answer",
    "AuditEntry",
    "Basis",
    "Chair",
    "Clinic",
    "ClinicalQuerySet",
    "ClinicalRow",
    "Consciousness",
    "Consent",
    "Flag",
    "FlagAction",
    "FlagEvent",
    "FlagPriority",
    "GateOverride",
    "GivenMedicine",
    "Grade",
    "Height",
    "IdentityCheck",
    "InfusionSession",
    "LabResult",
    "LabelRegion",
    "LineCheck",
    "Order",
    "OrderMedicine",
    "OrderStatus",
    "OrderVersion",
    "Outcome",
    "Patient",
    "PatientRow",
    "Presence",
    "Protocol",
    "ProtocolEvent",
    "ProtocolVersion",
    "Purpose",
    "RateChange",
    "RateKind",
    "Reaction",
    "ReactionOutcome",
    "ReactionSymptom",
    "RiskFactor",
    "Screening",
    "SessionRow",
    "Severity",
    "Sex",
    "Signature",
    "Stage",
    "StageChange",
    "Start",
    "TemperatureUnit",
    "Theme",
    "User",
    "Vial",
    "VialEnd",
    "VitalSigns",
    "VitalsPurpose",
    "Weight",
    "instant",
]
