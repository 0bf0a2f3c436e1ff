"""A client posts messages, again and again until each is answered, while listener and router are killed.

More of them: `SNP_POSTED_MESSAGES=10000 pytest tests/faults/test_listener_faults.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import requests

from router.feeds.formats import read_events
from router.listener.tokens import DISPOSITIONS, Tokens
from router.log.interface import AdministeredLog
from router.log.url import open_log
from router.model.inputs import Disposition
from tests.checking.replay import describe
from tests.faults.scene import scene
from tests.faults.trial import CODES, History, Trial
from tests.faults.workers import ROUTER, Workers, errors_in
from tests.kafka.broker import free_ports

MESSAGES = int(os.environ.get("SNP_POSTED_MESSAGES", "600"))
BILLS = 400
SENDERS = 8
FIRST = datetime(2026, 7, 14, 8, 0)
PATIENCE_SECONDS = 10
PAUSE_SECONDS = 0.1
GROUP = "snp-router"


def interchange(number: int, chance: random.Random) -> bytes:
    """One event, posted in a minute of its own: no two are the same."""
    bill, code = chance.randrange(BILLS), chance.choice(CODES)
    posted = FIRST + timedelta(minutes=number)
    return (
        "ISA*00*          *00*          *ZZ*CBPTEST        *02*OCNX           *260714*1412*U*00605"
        f"*{number:09}*0*P*>~\n"
        f"GS*SO*CBPTEST*OCNX*20260714*141205*{number}*X*006050~\n"
        "ST*350*0001~\n"
        "M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~\n"
        "P4*2704*20260728~\n"
        f"X4*HBL{bill:06}*120***{posted:%Y%m%d*%H%M}*{code}**NVXA****2704**OB*OCNXMB{bill % 5}*ET~\n"
        "N9*SNP*OCNX~\n"
        "N9*SNP*SLTC~\n"
        f"N7*CSQU*{bill % 20:06}~\n"
        "SE*8*0001~\n"
        f"GE*1*{number}~\n"
        f"IEA*1*{number:09}~\n"
    ).encode()


def events_of(messages: Sequence[bytes]) -> Iterator[Disposition]:
    for message in messages:
        (event,) = read_events([message], "posted", 0)
        assert isinstance(event, Disposition)
        yield event


class Sender:
    """Posts each message until it is answered with 200. Counts the attempts of all threads."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token
        self._here = threading.local()
        self.attempts = 0

    def post(self, message: bytes) -> None:
        if not hasattr(self._here, "session"):
            self._here.session = requests.Session()
            self._here.session.headers["Authorization"] = f"Bearer {self._token}"
        while True:
            self.attempts += 1
            try:
                answer = self._here.session.post(self._url, message, timeout=PATIENCE_SECONDS)
            except requests.RequestException:  # killed before it answered: all may be stored, or nothing
                self._pause()
                continue
            if answer.status_code == 200:
                return
            assert answer.status_code in (408, 429, 503), answer.text
            self._pause()

    def _pause(self) -> None:
        threading.Event().wait(PAUSE_SECONDS)


async def undergo(log: AdministeredLog, url: str, folder: Path, routers: Workers, seed: int) -> list[str]:
    """Post all messages while processes are killed; route what is left; every violation in words."""
    trial = Trial(log, History(folder / "history.jsonl"), seed)
    await trial.prepare()
    messages = [interchange(number, trial.chance) for number in range(MESSAGES)]
    trial.fed.extend(events_of(messages))
    port = free_ports(1)[0]
    tokens, config = folder / "tokens.json", folder / "listener.toml"
    token = Tokens(tokens).add("client", "cbp", frozenset({DISPOSITIONS}), frozenset())
    config.write_text(f'[listen]\naddress = "127.0.0.1:{port}"\ntokens_file = "{tokens}"\n')
    listeners = Workers(url, folder, words=("listen", "--config", str(config)))
    sender = Sender(f"http://127.0.0.1:{port}/messages", token)
    victims = itertools.cycle((listeners, routers))
    kills = 0
    try:
        listeners.start()
        routers.start()
        with ThreadPoolExecutor(SENDERS) as threads:
            posting = [asyncio.wrap_future(threads.submit(sender.post, message)) for message in messages]
            while not all(one.done() for one in posting):
                await asyncio.sleep(trial.chance.uniform(0.8, 2.5))
                trial.history.note(await next(victims).kill(trial.chance))
                kills += 1
            await asyncio.gather(*posting)
    finally:
        listeners.stop()
        routers.stop()
    trial.history.note("posted", messages=MESSAGES, attempts=sender.attempts, kills=kills)
    assert sender.attempts > MESSAGES, "no request was cut off, so nothing is proved"
    return [*await trial.finish(GROUP), *errors_in(folder)]


async def test_messages_posted_while_processes_are_killed_count_once_each(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/snp.db"
    async with open_log(url) as log:
        faults = await undergo(log, url, tmp_path, Workers(url, tmp_path, ROUTER), 31)
    assert not faults, describe(faults[:20])


@pytest.mark.kafka
async def test_the_same_on_kafka(tmp_path: Path) -> None:
    async with scene(tmp_path, 32) as at:
        faults = await undergo(at.trial.log, at.trial.log.url, tmp_path, at.workers, 32)
    assert not faults, describe(faults[:20])
