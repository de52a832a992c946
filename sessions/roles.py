"""Who may do what, as data: six roles, each a group with its permissions (K1).

Installed after every migrate by `sessions.storage.prepare`. Admins cannot chart by
being admins; auditors only read.
"""

from django.utils.translation import gettext_lazy as _lazy

from sessions.rules.language import phrase

PERMISSIONS = {
    "view_board": _lazy("See the board and the visits of the clinic"),
    "view_patient": _lazy("See patients"),
    "edit_patient": _lazy(
        "Register patients; record weights, labs, allergies, risk factors"
    ),
    "view_order": _lazy("See orders"),
    "draft_order": _lazy("Draft orders"),
    "sign_order": _lazy("Sign orders as prescriber"),
    "telephone_order": _lazy("Take a telephone order with read-back"),
    "verify_order": _lazy("Verify orders as pharmacist"),
    "chart": _lazy("Run visits: checks, vitals, rates, reactions, flags, discharge"),
    "allocate": _lazy("Plan visits, allocate chairs and nurses"),
    "override_hard_stop": _lazy("Override a hard stop or a ceiling, signed"),
    "view_catalogue": _lazy("See products, indications and the protocol"),
    "draft_protocol": _lazy("Draft protocol versions"),
    "approve_protocol": _lazy("Approve or retire protocol versions"),
    "keep_recalls": _lazy("Put lots on the list of recalled ones, and take them off"),
    "view_report": _lazy("See reports"),
    "export_report": _lazy("Export reports"),
    "manage_settings": _lazy("Change the clinic's settings and chairs"),
    "manage_staff": _lazy("Add staff, change roles, reset passwords"),
    "view_audit": _lazy("See the audit"),
}

_EVERYBODY = {"view_board", "view_patient", "view_order", "view_catalogue"}
_NURSE = _EVERYBODY | {"edit_patient", "chart", "draft_order", "telephone_order"}

ROLES: dict[str, set[str]] = {
    phrase("nurse"): _NURSE,
    phrase("charge nurse"): _NURSE
    | {"allocate", "draft_protocol", "keep_recalls", "view_report"},
    phrase("prescriber"): _EVERYBODY
    | {
        "edit_patient",
        "draft_order",
        "sign_order",
        "override_hard_stop",
        "draft_protocol",
        "approve_protocol",
        "view_report",
    },
    phrase("pharmacist"): _EVERYBODY
    | {
        "draft_order",
        "verify_order",
        "keep_recalls",
        "draft_protocol",
        "approve_protocol",
        "view_report",
        "export_report",
    },
    phrase("admin"): {
        "view_board",
        "view_catalogue",
        "view_report",
        "export_report",
        "keep_recalls",
        "manage_settings",
        "manage_staff",
        "view_audit",
        "allocate",
    },
    phrase("auditor"): _EVERYBODY | {"view_report", "export_report", "view_audit"},
}
