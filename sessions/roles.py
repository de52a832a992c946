"""Who may do what, as data: six roles, each a group with its permissions (K1).

Installed after every migrate by `sessions.storage.prepare`. Admins cannot chart by
being admins; auditors only read.
"""

PERMISSIONS = {
    "view_board": "See the board and the sessions of the clinic",
    "view_patient": "See patients",
    "edit_patient": "Register patients; record weights, labs, allergies, risk factors",
    "view_order": "See orders",
    "draft_order": "Draft orders",
    "sign_order": "Sign orders as prescriber",
    "telephone_order": "Take a telephone order with read-back",
    "verify_order": "Verify orders as pharmacist",
    "chart": "Run sessions: checks, vitals, rates, reactions, flags, discharge",
    "allocate": "Plan sessions, allocate chairs and nurses",
    "override_hard_stop": "Override a hard stop or a ceiling, signed",
    "view_catalogue": "See products, indications and the protocol",
    "draft_protocol": "Draft protocol versions",
    "approve_protocol": "Approve or retire protocol versions",
    "view_report": "See reports",
    "export_report": "Export reports",
    "manage_settings": "Change the clinic's settings and chairs",
    "manage_staff": "Add staff, change roles, reset passwords",
    "view_audit": "See the audit",
}

_EVERYBODY = {"view_board", "view_patient", "view_order", "view_catalogue"}
_NURSE = _EVERYBODY | {"edit_patient", "chart", "draft_order", "telephone_order"}

ROLES: dict[str, set[str]] = {
    "nurse": _NURSE,
    "charge nurse": _NURSE | {"allocate", "draft_protocol", "view_report"},
    "prescriber": _EVERYBODY
    | {
        "edit_patient",
        "draft_order",
        "sign_order",
        "override_hard_stop",
        "draft_protocol",
        "approve_protocol",
        "view_report",
    },
    "pharmacist": _EVERYBODY
    | {
        "draft_order",
        "verify_order",
        "draft_protocol",
        "approve_protocol",
        "view_report",
        "export_report",
    },
    "admin": {
        "view_board",
        "view_catalogue",
        "view_report",
        "export_report",
        "manage_settings",
        "manage_staff",
        "view_audit",
        "allocate",
    },
    "auditor": _EVERYBODY | {"view_report", "export_report", "view_audit"},
}
