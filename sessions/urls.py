"""Every address of the product, by noun; names are noun-verb."""

from django.urls import path

from sessions.views import audit, board, clinics, staff

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
]
