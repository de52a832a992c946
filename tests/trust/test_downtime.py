"""The server is killed in the middle of a visit: its sheet stays, whole (H28)."""

import re
import threading
import time
from pathlib import Path

from tests.reading import tight
from tests.trust.server import CALM, LOST, Record, Server, served

PULSES = range(60, 91)


def sheet_of(record: Record, visit: int) -> Path:
    """Found as a nurse would: in the folder, without server and database."""
    folder = Path(record.environment["DOWNTIME_FOLDER"])
    (sheet,) = folder.glob(f"clinic-*/chair-*-S-{visit}.html")
    return sheet


def last_pulse(page: str) -> int:
    """The pulse of the line `Last` under `Vital signs`."""
    line = re.search(r'<th scope="row">Last [\d:]+</th>(.*?)</tr>', tight(page))[1]
    return int(re.findall(r"<td>(.*?)</td>", line)[1])


def test_the_sheet_of_a_killed_server_is_whole_and_at_most_one_save_old(
    record, tmp_path
):
    visit = record.visits[0]
    with served(record, tmp_path) as server:
        saved = chart_until_killed(server, visit, saves=8)

    page = sheet_of(record, visit).read_text(encoding="utf-8")
    assert len(saved) >= 8, server.said()
    assert last_pulse(page) in [*saved[-2:], following(saved[-1])]
    assert re.search(r"</html>\s*<!-- written: [\d.]+ -->\n$", page)
    for part in ("MRN", "mL/h", "Baseline", "To be written by hand"):
        assert part in page
    sheets = [*sheet_of(record, visit).parent.glob("chair-*.html")]
    assert len(sheets) == len(record.visits)
    index = (sheets[0].parent / "index.html").read_text(encoding="utf-8")
    assert all(sheet.name in index for sheet in sheets)


def chart_until_killed(server: Server, visit: int, *, saves: int) -> list[int]:
    """Save sets one after the other; the pulses that were acknowledged, in order."""
    saved: list[int] = []

    def work() -> None:
        pulse = PULSES[0]
        while True:
            try:
                answer = server.vitals(visit, CALM | {"pulse": str(pulse)})
            except LOST:
                return
            if answer.saved:
                saved.append(pulse)
                pulse = following(pulse)

    nurse = threading.Thread(target=work)
    nurse.start()
    while len(saved) < saves and nurse.is_alive():
        time.sleep(0.01)
    server.kill()
    nurse.join()
    return saved


def following(pulse: int) -> int:
    return PULSES[(PULSES.index(pulse) + 1) % len(PULSES)]
