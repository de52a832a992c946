"""What a first load of the session page weighs, for a browser that knows nothing yet.

Scripts and styles are pressed as the server keeps them (brotli), the page as it is
sent (gzip). How many requests there are is counted in tests/journeys/test_chair.py,
how long a save takes in `make bench`.
"""

import gzip

import brotli
import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.utils import timezone

from ivig_clinic.joined import LEFT_OUT, join
from tests.factories.visits import Morning
from tests.journeys import stories

SCRIPT, ALL = 25_000, 70_000
BESIDE = ("sessions/icon.svg", "sessions/clinic.webmanifest")


def pressed(name: str) -> int:
    with open(finders.find(name), "rb") as file:
        return len(brotli.compress(file.read()))


@pytest.mark.django_db
def test_the_session_page_is_light(
    nurse, charge_nurse, prescriber, pharmacist, admin, sign_in
):
    morning = Morning.of(
        at=timezone.now(),
        nurse=nurse,
        charge_nurse=charge_nurse,
        prescriber=prescriber,
        pharmacist=pharmacist,
        admin=admin,
    )
    morning.started()
    stories.step_to(morning, 2, after=31)
    stories.save_set(morning, after=45, reading=stories.FALL)
    address = f"/infusions/{morning.visit.pk}/"

    answer = sign_in(nurse).get(address, headers={"Accept-Encoding": "gzip"})

    assert answer.headers["Content-Encoding"] == "gzip"
    assert "Systolic fell" in gzip.decompress(answer.content).decode()
    script = pressed("joined/clinic.js")
    beside = sum(map(pressed, BESIDE))
    whole = len(answer.content) + script + pressed("joined/clinic.css") + beside
    print(f"script {script}, page {len(answer.content)}, in all {whole} bytes")
    assert script <= SCRIPT
    assert whole <= ALL


def test_joining_leaves_comments_and_indents_out_and_nothing_else():
    script = (
        "/* about\n   it */\nconst a = 1; // gone\n\n  // gone\n  f(`x // y`);\n"
        "g('a; // kept');\nh(); // isn't sure, kept\n"
    )
    kept = "const a = 1;\nf(`x // y`);\ng('a; // kept');\nh(); // isn't sure, kept\n"
    style = "/* gone */\n  a { b: c; } /* gone too */\n"

    assert LEFT_OUT[".js"].sub("", script) == kept
    assert LEFT_OUT[".css"].sub("", style) == "\na { b: c; } \n"


def test_a_joined_file_follows_its_parts(tmp_path, settings):
    settings.JOINED_FOLDER = tmp_path

    for name in settings.JOINED:
        text = join(name).read_text(encoding="utf-8")
        assert all(finders.find(part) for part in settings.JOINED[name])
        assert len(text) > 10_000
    assert not finders.find("joined/other.js")


def test_a_page_asks_for_one_script_and_one_style(client, clinic):
    page = client.get("/sign-in/").content.decode()

    assert page.count("<script") == page.count("stylesheet") == 1
    assert settings.STATIC_URL + "joined/clinic.js" in page


def test_a_compressed_page_has_no_steady_size(sign_in, nurse):
    client = sign_in(nurse)
    sizes, pages = set(), set()
    for _ in range(12):
        answer = client.get("/me/password/", headers={"Accept-Encoding": "gzip"})
        sizes.add(len(answer.content))
        pages.add(answer.content)

    assert len(pages) == 12
    assert len(sizes) > 3
