"""Eight nurses who save at once, and remember what was acknowledged."""

import random
import threading
import time
import uuid

from tests.trust.judge import Ledger, Sent
from tests.trust.server import CALM, FALLEN, LOST, Server

WRITERS = 8


class Writers:
    """Eight nurses who save without pause, each on visits of their own."""

    def __init__(self, server: Server, dice: random.Random) -> None:
        self.server, self.ledger, self.dice = server, Ledger(), dice
        self.lock, self.end = threading.Lock(), threading.Event()
        self.refused: list[str] = []
        self.unsaved = 0
        self.threads: list[threading.Thread] = []

    def send(self, sent: Sent, nurse: int) -> bool:
        """Post one set; True when the server said that it is saved."""
        reading = (FALLEN if sent.fallen else CALM) | {"pulse": str(sent.pulse)}
        with self.lock:
            self.ledger.open[sent.key] = sent
        answer = self.server.vitals(sent.visit, reading, key=sent.key, nurse=nurse)
        with self.lock:
            if answer.saved:
                self.ledger.taken[sent.key] = self.ledger.open.pop(sent.key)
            elif answer.status == 503:
                self.unsaved += 1
            else:
                self.refused.append(f"{answer.status}: {answer.text[-400:]}")
        return answer.saved

    def work(self, nurse: int, dice: random.Random, *, on_after_loss: bool) -> None:
        visits = self.server.record.visits[nurse::WRITERS]
        while not self.end.is_set():
            sent = Sent(
                key=str(uuid.uuid4()),
                visit=dice.choice(visits),
                pulse=dice.randint(60, 90),
                fallen=dice.random() < 0.3,
            )
            try:
                if not self.send(sent, nurse):
                    time.sleep(0.1)
            except LOST:
                if not on_after_loss:
                    return

    def begin(self, *, on_after_loss: bool = False) -> None:
        self.end.clear()
        self.threads = [
            threading.Thread(
                target=self.work,
                args=(nurse, random.Random(self.dice.random())),
                kwargs={"on_after_loss": on_after_loss},
            )
            for nurse in range(WRITERS)
        ]
        for thread in self.threads:
            thread.start()

    def join(self) -> None:
        self.end.set()
        for thread in self.threads:
            thread.join()

    def send_one(self) -> None:
        visit = self.server.record.visits[0]
        one = Sent(key=str(uuid.uuid4()), visit=visit, pulse=70, fallen=False)
        assert self.send(one, 0), self.refused[-1:] or self.server.said()

    def send_again(self) -> int:
        """Send under its key what was not acknowledged; all of it is saved now."""
        again = list(self.ledger.open.values())
        for sent in again:
            nurse = next(
                n
                for n in range(WRITERS)
                if sent.visit in self.server.record.visits[n::WRITERS]
            )
            assert self.send(sent, nurse), self.refused[-1:] or self.server.said()
        return len(again)
