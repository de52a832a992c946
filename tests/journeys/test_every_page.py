"""Every page of the product, for every eye: found by walking all of its addresses.

In each of three sizes and both themes no violation of axe's rules and no sideways
scroll; at 320 px and zoomed to 200 % nothing cut off, covered or moving; in forced
colours every icon and state is seen. A page that comes anew is looked at without being
listed. The `desk` also refuses complaints in a console and whatever the policy blocks.
"""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone
from playwright.sync_api import Error, Page

from sessions.models import Chair, Outcome
from sessions.services import finish
from sessions.services.vitals import record_vitals
from tests.conftest import PASSWORD
from tests.factories import visits
from tests.hostile import world
from tests.journeys import eyes
from tests.reading import tight
from tests.test_access_matrix import Walker, _quickly, rows_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
__all__ = ["_quickly"]

PARTS = 2
IN_EVERY_STATE = {
    "infusion-detail": ["nurse"],
    "infusion-prepare": ["nurse"],
    "order-detail": ["prescriber", "pharmacist"],
}
"""Addresses whose page is another one for each stage; of others one row is enough."""
WHO_ACTS = {"nurse", "prescriber", "pharmacist"}


@pytest.fixture
def made(clinic, other_clinic) -> world.World:
    """The clinic that hostile tests attack, unharmed, and a visit that is over."""
    made = world.build(clinic, other_clinic)
    chair = Chair.objects.create(clinic=clinic, name="07", position=7)
    at = timezone.now() - timedelta(minutes=110)
    order = visits.active_order(
        visits.patient_known(made.users["nurse"], at, mrn="990007"),
        prescriber=made.users["prescriber"],
        pharmacist=made.users["pharmacist"],
        at=at,
    )
    visit = visits.checked_in(
        order,
        charge_nurse=made.users["charge nurse"],
        nurse=made.users["nurse"],
        at=at,
        chair=chair.name,
    )
    visit = visits.started(visit, nurse=made.users["nurse"], at=at)

    def by(minutes: int):
        return visits.by(made.users["nurse"], at + timedelta(minutes=minutes))

    finish.end_infusion(session=visit, reason_code="patient", by=by(40))
    record_vitals(session=visits.fresh(visit), reading=visits.READING, by=by(100))
    finish.discharge(
        session=visits.fresh(visit),
        by=by(101),
        outcome=Outcome.STOPPED_EARLY,
        reason_code="patient",
        password=PASSWORD,
    )
    made.ids["session"].insert(1, visit.pk)
    own = rows_of(made.users["nurse"], at)
    made.ids |= {kind: [pk] for kind, pk in own.items()}
    return made


def addresses_of(made: world.World, part: int) -> Iterator[tuple]:
    """One part of all addresses that show something, and who may look."""
    names: dict[str, int] = {}
    acted = set()
    for address, allowed, url in made.addresses("GET"):
        place = names.setdefault(address.name, len(names))
        if not allowed or place % PARTS != part:
            continue
        who = allowed[:1]
        if address.name in IN_EVERY_STATE:
            known = address.name in acted
            who = IN_EVERY_STATE[address.name] if known else WHO_ACTS & {*allowed}
            acted.add(address.name)
        for role in sorted(who):
            yield address.name, role, url


class Desks:
    """One browser for each role, opened with the first page of that role."""

    def __init__(self, desk, users) -> None:
        self.desk, self.users, self.pages = desk, users, {}

    def open(self, role: str, url: str) -> tuple[Page, int]:
        """The page that a browser shows, and the answer's status; 0 for a download."""
        if role not in self.pages:
            page = self.pages[role] = self.desk(self.users[role])
            page.watch.may_refuse = {403, 404, 422}
        page = self.pages[role]
        page.set_viewport_size({"width": 1280, "height": 800})
        try:
            return page, page.goto(url).status
        except Error as error:
            if "Download is starting" not in error.message:
                raise
            return page, 0


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize(
    "every_stage", [False, pytest.param(True, marks=pytest.mark.soak)]
)
def test_every_page_is_for_every_eye(desk, made, part, every_stage):
    """In every size; further stages of one page in one size, but in the long form."""
    desks, found, waiting, count = Desks(desk, made.users), [], set(), 0
    seen, met = set(), set()
    for name, role, url in addresses_of(made, part):
        if name in seen and name not in IN_EVERY_STATE:
            continue
        page, status = desks.open(role, url)
        if status not in (0, 200):
            waiting.add(name)
            continue
        seen.add(name)
        if status == 0 or not page.locator("html[lang]").count():
            continue  # a file, a drawing, or a part of a page that htmx asks for
        count += 1
        first = (name, role) not in met
        look = eyes.in_every_size if first or every_stage else eyes.in_both_themes
        faults = look(page)
        if first:  # one stage of a page is enough for these
            faults += eyes.in_forced_colours(page) + eyes.narrow(page)
        met.add((name, role))
        found += [f"{url} for {role}: {fault}" for fault in faults]

    assert not found, "\n".join(found)
    assert not waiting - seen, "no row of this world shows these pages"
    assert count > 60 / PARTS


@pytest.mark.parametrize(
    ("kind", "least"),
    [
        pytest.param("title", 15, id="one for each page"),
        pytest.param("address", 60, id="all", marks=pytest.mark.soak),
    ],
)
def test_every_form_that_comes_back_is_for_every_eye(desk, made, kind, least):
    """Sent empty, without script, a form comes back as a page that says what lacks."""
    answers, came = {}, set()
    for address, allowed, url in made.addresses("POST"):
        if not allowed or address.name in came:
            continue
        answer = Walker(made.users[allowed[0]]).answer("POST", url, fragment=False)
        text = answer.content.decode(errors="replace")
        if answer.status_code == 422 and "<html" in text[:400]:
            came.add(address.name)
            title = re.search("<title>(.*?)</title>", tight(text))[1]
            answers.setdefault(title if kind == "title" else address.name, (url, text))
    page, found = desk(made.users["nurse"]), []
    shown = {}
    page.route("**/came-back/*", lambda route: route.fulfill(**shown))
    for number, (url, text) in enumerate(answers.values()):
        page.set_viewport_size({"width": 1280, "height": 800})
        shown |= {"body": text, "content_type": "text/html; charset=utf-8"}
        page.goto(f"/came-back/{number}")
        faults = eyes.in_both_themes(page) + eyes.narrow(page)
        found += [f"{url} sent empty: {fault}" for fault in faults]

    assert not found, "\n".join(found)
    assert len(answers) >= least


def test_refusals_and_signed_out_pages_are_for_every_eye(
    page, live_server, browse_as, nurse, monkeypatch
):
    def fails(*ignored, **named):
        raise DatabaseError("disk full")

    monkeypatch.setattr("sessions.views.catalogue.render", fails)
    found = []
    for url, status in (
        ("/sign-in/", 200),
        ("/infusions/999999/", 404),
        ("/settings/", 403),
        ("/catalogue/", 503),
    ):
        if status == 404:
            browse_as(nurse)
        page.set_viewport_size({"width": 1280, "height": 800})
        assert page.goto(f"{live_server.url}{url}").status == status
        faults = eyes.in_every_size(page)
        faults += eyes.in_forced_colours(page) + eyes.narrow(page)
        found += [f"{url}, {status}: {fault}" for fault in faults]

    assert not found, "\n".join(found)


def test_the_first_page_of_a_new_server_is_for_every_eye(page, live_server):
    page.goto(f"{live_server.url}/set-up/")
    assert page.get_by_role("heading", level=1).count() == 1
    faults = eyes.in_every_size(page)
    faults += eyes.in_forced_colours(page) + eyes.narrow(page)

    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("body", "eye", "words"),
    [
        ('<img src="/x.png">', eyes.in_both_themes, "image-alt"),
        ('<p style="color:#999">grey</p>', eyes.in_both_themes, "color-contrast"),
        ('<p style="width:900px">wide</p>', eyes.narrow, "the page is"),
        ('<p style="width:90px;overflow:hidden;white-space:nowrap">a much longer line'
         "</p>", eyes.narrow, "cut off"),
        ('<button>a</button><p style="position:fixed;inset:0">over it</p>',
         eyes.narrow, "covered"),
        ('<p style="transition:color 1s">slow</p>', eyes.narrow, "moves"),
        ('<svg class="ico" style="color:#fff;forced-color-adjust:none"></svg>',
         eyes.in_forced_colours, "icon not seen"),
        ('<div data-state="late" style="height:9px"></div>',
         eyes.in_forced_colours, "a state without a word"),
        ('<nav><a href="/a" aria-current="page">A</a><a href="/b">B</a></nav>',
         eyes.in_forced_colours, "chosen looks like not chosen"),
    ],
)  # fmt: skip
def test_the_eyes_see_what_is_wrong(page, body, eye, words):
    page.set_content(f'<html lang="en"><title>t</title><main><h1>h</h1>{body}</main>')

    assert words in "\n".join(eye(page))
