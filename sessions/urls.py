"""Every address of the product, by noun; names are noun-verb."""

from django.urls import path

from sessions.views import staff

urlpatterns = [
    # staff
    path("sign-in/", staff.sign_in, name="sign-in"),
    path("sign-out/", staff.sign_out, name="sign-out"),
]
