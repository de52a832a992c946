"""Every address of the product, by noun; names are noun-verb."""

from django.urls import path

from sessions.sheets import xlsx
from sessions.views import (
    alarms,
    audit,
    board,
    catalogue,
    clinics,
    downtime,
    factors,
    finish,
    flags,
    handover,
    infusions,
    medicines,
    order_versions,
    ordering,
    orders,
    patients,
    planning,
    preparation,
    protocols,
    rates,
    reactions,
    recalls,
    records,
    replay,
    reports,
    sign_ins,
    staff,
    vials,
    violations,
    vitals,
    walls,
)

urlpatterns = [
    # board
    path("", board.home, name="home"),
    path("board/", board.show, name="board"),
    path("board/live/", board.live, name="board-live"),
    path("board/wall/", board.wall, name="board-wall"),
    path("board/nurses/", handover.nurses, name="nurses"),
    path("board/handover/", handover.sheet, name="handover"),
    path("board/alarms/", alarms.others, name="board-alarms"),
    # told by browsers
    path("policy-violations/", violations.tell, name="policy-violations"),
    # signing in
    path("sign-in/", sign_ins.sign_in, name="sign-in"),
    path("sign-in/second-step/", sign_ins.second_step, name="sign-in-step"),
    path("sign-out/", sign_ins.sign_out, name="sign-out"),
    path("me/security/", factors.security, name="security"),
    path("me/security/app/", factors.add_app, name="factor-app"),
    path("me/security/passkey/", factors.add_passkey, name="factor-passkey"),
    path("me/security/codes/", factors.recovery_codes, name="recovery-codes"),
    path("me/security/<int:pk>/remove/", factors.remove, name="factor-remove"),
    path("me/security/logins/end/", factors.end_other_logins, name="logins-end"),
    path("me/security/logins/<int:pk>/end/", factors.end_login, name="login-end"),
    # staff
    path("me/", staff.preferences, name="preferences"),
    path("me/password/", staff.own_password, name="own-password"),
    path("settings/staff/", staff.people, name="staff"),
    path("settings/staff/add/", staff.add, name="staff-add"),
    path("settings/staff/<int:pk>/", staff.change, name="staff-change"),
    path(
        "settings/staff/<int:pk>/password/",
        staff.reset_password,
        name="staff-reset-password",
    ),
    path("settings/staff/<int:pk>/unlock/", staff.unlock, name="staff-unlock"),
    path(
        "settings/staff/<int:pk>/factors/",
        staff.forget_factors,
        name="staff-forget-factors",
    ),
    # clinics
    path("set-up/", clinics.set_up, name="set-up"),
    path("settings/", clinics.settings, name="settings"),
    path("settings/chairs/", clinics.chairs, name="chairs"),
    path("settings/chairs/<int:pk>/", clinics.chair, name="chair-change"),
    path("settings/walls/", walls.show, name="walls"),
    path("settings/walls/<int:pk>/end/", walls.end, name="wall-end"),
    # reports
    path("reports/", reports.index, name="reports"),
    path("reports/<slug:key>/", reports.show, name="report"),
    path("reports/<slug:key>/print/", reports.printed, name="report-print"),
    path("reports/<slug:key>/export/", reports.export, name="report-export"),
    path(
        "reports/<slug:key>/export/xlsx/",
        reports.export,
        {"write": xlsx},
        name="report-export-xlsx",
    ),
    # audit
    path("audit/", audit.entries, name="audit"),
    path("audit/export/", audit.export, name="audit-export"),
    path("audit/export/xlsx/", audit.export, {"write": xlsx}, name="audit-export-xlsx"),
    # patients
    path("patients/", patients.patients, name="patients"),
    path("patients/new/", patients.register, name="patient-register"),
    path("patients/import/", patients.import_file, name="patient-import"),
    path("patients/<int:pk>/", patients.detail, name="patient-detail"),
    path("patients/<int:pk>/amend/", patients.amend, name="patient-amend"),
    *(
        path(f"patients/<int:pk>/{kind}/", patients.record, {"kind": kind}, name=name)
        for kind, name in patients.ADDRESSES.items()
    ),
    *(
        path(
            f"patients/<int:pk>/{kind}/<int:row_pk>/{task}/",
            view,
            {"kind": kind},
            name=f"{name}-{task}",
        )
        for kind, name in patients.ADDRESSES.items()
        for task, view in (
            ("correct", patients.correct),
            ("withdraw", patients.withdraw),
        )
    ),
    # orders
    path("orders/", orders.orders_list, name="orders"),
    path("orders/new/", ordering.choose_patient, name="order-patient"),
    path("orders/new/<int:patient_pk>/", ordering.new, name="order-new"),
    path(
        "orders/new/<int:patient_pk>/telephone/",
        ordering.telephone,
        name="order-telephone",
    ),
    path(
        "orders/new/<int:patient_pk>/preview/", ordering.preview, name="order-preview"
    ),
    path("orders/<int:pk>/", orders.detail, name="order-detail"),
    path("orders/<int:pk>/change/", ordering.change, name="order-change"),
    path(
        "orders/<int:pk>/versions/<int:number>/",
        order_versions.version,
        name="order-version",
    ),
    path("orders/<int:pk>/sign/", orders.sign, name="order-sign"),
    path("orders/<int:pk>/verify/", orders.verify, name="order-verify"),
    path("orders/<int:pk>/countersign/", orders.countersign, name="order-countersign"),
    path("orders/<int:pk>/return/", orders.give_back, name="order-return"),
    path("orders/<int:pk>/hold/", orders.hold, name="order-hold"),
    path("orders/<int:pk>/resume/", orders.resume, name="order-resume"),
    path("orders/<int:pk>/cancel/", orders.cancel, name="order-cancel"),
    path("orders/<int:pk>/complete/", orders.complete, name="order-complete"),
    # infusions: planned and prepared
    path("infusions/", planning.today, name="infusion-today"),
    path("orders/<int:pk>/visits/", planning.plan, name="infusion-plan"),
    path("infusions/<int:pk>/check-in/", planning.check_in, name="infusion-check-in"),
    path("infusions/<int:pk>/move/", planning.allocate, name="infusion-allocate"),
    path("infusions/<int:pk>/cancel/", planning.cancel, name="infusion-cancel"),
    path(
        "infusions/<int:pk>/take-over/", planning.take_over, name="infusion-take-over"
    ),
    path("infusions/<int:pk>/nurse/", handover.assign, name="infusion-assign"),
    path("infusions/<int:pk>/note/", handover.note, name="note-write"),
    path("infusions/<int:pk>/prepare/", preparation.show, name="infusion-prepare"),
    path(
        "infusions/<int:pk>/identity/", preparation.identity, name="infusion-identity"
    ),
    path("infusions/<int:pk>/weight/", preparation.weigh, name="infusion-weigh"),
    path(
        "infusions/<int:pk>/weight/confirm/",
        preparation.confirm_weight,
        name="infusion-confirm-weight",
    ),
    path("infusions/<int:pk>/checks/", preparation.checks, name="infusion-checks"),
    path("infusions/<int:pk>/line/", preparation.line, name="infusion-line"),
    path(
        "infusions/<int:pk>/baseline/", preparation.baseline, name="infusion-baseline"
    ),
    path("infusions/<int:pk>/pass/", preparation.pass_warnings, name="infusion-pass"),
    path(
        "infusions/<int:pk>/override/", preparation.override, name="infusion-override"
    ),
    path("infusions/<int:pk>/start/", preparation.start, name="infusion-start"),
    # infusions: ended, discharged, recorded
    path("infusions/<int:pk>/end/", finish.end, name="infusion-end"),
    path("infusions/<int:pk>/discharge/", finish.discharge, name="infusion-discharge"),
    path("infusions/<int:pk>/record/", records.show, name="infusion-record"),
    path("infusions/<int:pk>/record/pdf/", records.as_pdf, name="infusion-record-pdf"),
    path("infusions/<int:pk>/replay/", replay.show, name="infusion-replay"),
    path("infusions/<int:pk>/sheet/", downtime.sheet, name="infusion-sheet"),
    path("infusions/<int:pk>/error/", finish.error, name="infusion-error"),
    # infusions: the session page
    path("infusions/<int:pk>/", infusions.detail, name="infusion-detail"),
    path("infusions/<int:pk>/now/", infusions.now_bar, name="infusion-bar"),
    path("infusions/<int:pk>/drawing/", infusions.drawing, name="infusion-drawing"),
    # vitals
    path("infusions/<int:pk>/vitals/", vitals.record, name="vitals-record"),
    path(
        "infusions/<int:pk>/vitals/<int:vitals>/correct/",
        vitals.correct,
        name="vitals-correct",
    ),
    path(
        "infusions/<int:pk>/vitals/<int:vitals>/withdraw/",
        vitals.withdraw,
        name="vitals-withdraw",
    ),
    # rates
    path(
        "infusions/<int:pk>/rate/<int:rate>/correct/",
        rates.correct,
        name="rate-correct",
    ),
    path(
        "infusions/<int:pk>/rate/<int:rate>/withdraw/",
        rates.withdraw,
        name="rate-withdraw",
    ),
    path("infusions/<int:pk>/rate/override/", rates.override, name="rate-override"),
    path("infusions/<int:pk>/rate/<slug:act>/", rates.change, name="rate-change"),
    # flags
    path(
        "infusions/<int:pk>/flags/<int:flag>/answer/", flags.answer, name="flag-answer"
    ),
    path(
        "infusions/<int:pk>/flags/<int:flag>/override/",
        flags.override,
        name="flag-override",
    ),
    path("infusions/<int:pk>/flags/<int:flag>/call/", flags.call, name="flag-call"),
    # reactions
    path("infusions/<int:pk>/reactions/draft/", reactions.draft, name="reaction-draft"),
    path(
        "infusions/<int:pk>/reactions/search/", reactions.search, name="reaction-search"
    ),
    path("infusions/<int:pk>/reactions/", reactions.record, name="reaction-record"),
    path(
        "infusions/<int:pk>/reactions/<int:reaction>/correct/",
        reactions.correct,
        name="reaction-correct",
    ),
    path(
        "infusions/<int:pk>/reactions/<int:reaction>/withdraw/",
        reactions.withdraw,
        name="reaction-withdraw",
    ),
    path(
        "infusions/<int:pk>/outcomes/<int:outcome>/withdraw/",
        reactions.withdraw_told,
        name="outcome-withdraw",
    ),
    path(
        "infusions/<int:pk>/reactions/<int:reaction>/outcome/",
        reactions.outcome,
        name="reaction-outcome",
    ),
    # vials
    path("infusions/<int:pk>/vials/", vials.add, name="vial-add"),
    path(
        "infusions/<int:pk>/vials/<int:vial_pk>/withdraw/",
        vials.withdraw,
        name="vial-withdraw",
    ),
    # medicines
    path("infusions/<int:pk>/medicines/", medicines.show, name="medicine-list"),
    path(
        "infusions/<int:pk>/medicines/<int:ordered_pk>/give/",
        medicines.give,
        name="medicine-give",
    ),
    path(
        "infusions/<int:pk>/medicines/<int:given_pk>/withdraw/",
        medicines.withdraw,
        name="medicine-withdraw",
    ),
    # catalogue
    path("catalogue/", catalogue.products, name="catalogue"),
    path("catalogue/products/<slug:key>/", catalogue.product, name="catalogue-product"),
    path("catalogue/indications/", catalogue.indications, name="catalogue-indications"),
    path(
        "catalogue/indications/<slug:key>/",
        catalogue.indication,
        name="catalogue-indication",
    ),
    path("catalogue/reactions/", catalogue.reactions, name="catalogue-reactions"),
    path("catalogue/medicines/", catalogue.medicines, name="catalogue-medicines"),
    # recalled lots
    path("catalogue/recalls/", recalls.show, name="recalls"),
    path("catalogue/recalls/add/", recalls.add, name="recall-add"),
    path("catalogue/recalls/<int:pk>/lift/", recalls.lift, name="recall-lift"),
    # protocols
    path("catalogue/protocol/", protocols.versions, name="protocols"),
    path("catalogue/protocol/ship/", protocols.ship, name="protocol-ship"),
    path("catalogue/protocol/<int:pk>/", protocols.version, name="protocol-version"),
    path("catalogue/protocol/<int:pk>/draft/", protocols.draft, name="protocol-draft"),
    path(
        "catalogue/protocol/<int:pk>/draft/<slug:part>/",
        protocols.draft,
        name="protocol-draft",
    ),
    path(
        "catalogue/protocol/<int:pk>/approve/",
        protocols.approve,
        name="protocol-approve",
    ),
    path(
        "catalogue/protocol/<int:pk>/retire/", protocols.retire, name="protocol-retire"
    ),
]
