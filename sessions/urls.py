"""Every address of the product, by noun; names are noun-verb."""

from django.urls import path

from sessions.views import audit, board, catalogue, clinics, patients, protocols, staff

urlpatterns = [
    # board
    path("", board.home, name="home"),
    path("board/", board.show, name="board"),
    path("board/live/", board.live, name="board-live"),
    path("board/wall/", board.wall, name="board-wall"),
    # staff
    path("sign-in/", staff.sign_in, name="sign-in"),
    path("sign-out/", staff.sign_out, name="sign-out"),
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
    # clinics
    path("set-up/", clinics.set_up, name="set-up"),
    path("settings/", clinics.settings, name="settings"),
    path("settings/chairs/", clinics.chairs, name="chairs"),
    path("settings/chairs/<int:pk>/", clinics.chair, name="chair-change"),
    # audit
    path("audit/", audit.entries, name="audit"),
    path("audit/export/", audit.export, name="audit-export"),
    # patients
    path("patients/", patients.patients, name="patients"),
    path("patients/new/", patients.register, name="patient-register"),
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
