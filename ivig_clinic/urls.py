"""Root addresses: everything is the clinic's."""

from django.urls import include, path

urlpatterns = [path("", include("sessions.urls"))]
handler404 = "sessions.views.refusals.not_found"
handler403 = "sessions.views.refusals.forbidden"
handler500 = "sessions.views.refusals.server_error"
handler400 = "sessions.views.refusals.bad_request"
