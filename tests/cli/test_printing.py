"""Counts in words, and names of parties and vessels that contain control characters or markup."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from router.cli.printing import hold_text, notice_details, number_of
from router.console.rendering import NOTHING_ENTERED, rendered
from router.harmless_text import harmless
from router.log.interface import Output
from router.log.url import open_log
from router.model.registry_values import Line, Party, Sailing
from router.task.outputs import registry_output
from tests.cli.conftest import Command

SCRIPTS = "Łódź Ωmega Волга 上海航运 東京 한진 שלום النقل تهران‌بار नौवहन 🚢"
STEERING = "\x1b]0;x\x07\x9b2J\u202egnol\u2066"
MARKUP = "[/] [bold red]Lines[/bold red] [link=x] :ship:"


@pytest.mark.parametrize(
    ("count", "noun", "text"),
    [
        (0, "event", "0 events"),
        (1, "sailing", "1 sailing"),
        (2, "sailing", "2 sailings"),
        (1, "party", "1 party"),
        (5, "party", "5 parties"),
        (2, "day", "2 days"),
        (1200, "dead letter", "1,200 dead letters"),
    ],
)
def test_a_count_takes_the_singular_or_the_plural(count: int, noun: str, text: str) -> None:
    assert number_of(count, noun) == text


def test_a_notice_shows_its_remarks_which_are_all_that_an_outage_of_a_line_has_to_say() -> None:
    lists = dict.fromkeys(("holds", "authorises", "doubts"), ())
    announced = {
        "roles": ["FILER"],
        "cause": "OPERATOR",
        "flags": ["FEED_BEHIND"],
        "remarks": "SLTC's own systems are down",
    }
    shown = notice_details({**lists, **announced})
    assert shown == "FILER; cause: OPERATOR; flags: FEED_BEHIND; remarks: SLTC's own systems are down"


def write(folder: Path, *outputs: Output) -> None:
    """Write as another program might, without the checks of `import`."""

    async def append() -> None:
        async with open_log(f"sqlite:///{folder / 'snp.db'}") as log:
            await log.append(outputs)

    asyncio.run(append())


@pytest.fixture
def named(command: Command) -> Command:
    command("import", "parties", "-", stdin="id,name,contact_phone\nNVXA,x,1\n")
    name = f"{SCRIPTS} {MARKUP} {STEERING}"
    party = Party("NVXA", name, (name,), contact_name=name, contact_phone=name, aliases=("NVXC",))
    sailing = Sailing("S1", "9074729", name, (), (Line("NVXA", "operator", name, "all"),))
    write(command.folder, registry_output(party), registry_output(sailing))
    return command


@pytest.mark.parametrize("words", [("parties",), ("sailings",), ("check",), ("contacts", "--port", "2704")])
def test_hostile_names_are_shown_and_control_no_terminal(named: Command, words: tuple[str, ...]) -> None:
    done = named(*words, code=1 if words == ("check",) else 0)
    for steering in STEERING:
        assert steering not in done.stdout + done.stderr or steering.isprintable()


def test_a_name_is_shown_whole(named: Command) -> None:
    (party,) = named.json("parties")
    assert party["name"] == f"{SCRIPTS} {MARKUP} {STEERING}"
    named.environment["COLUMNS"] = "2000"
    shown = named("parties").stdout
    assert SCRIPTS in shown
    assert MARKUP in shown
    assert "\\u202egnol" in shown


def test_every_script_is_harmless() -> None:
    assert harmless(SCRIPTS) == SCRIPTS
    assert harmless("two\nlines") == "two\nlines"
    assert json.loads(harmless(json.dumps(STEERING, ensure_ascii=False))) == STEERING


def test_a_page_contains_no_control_characters_either() -> None:
    shared = dict.fromkeys(("user", "cut_off", "unknown", "receipt", "progress"), None)
    shared |= {"csrf": "", "path": "/", "here": "/", "silent": [], "outages": [], "entered": NOTHING_ENTERED}
    shared |= {"is_live": False, "as_of": 0, "now": 0, "revision": 0}
    page = rendered("problem.html", **shared, title="a name", text=f"{SCRIPTS}<b>{STEERING}")
    assert f"{SCRIPTS}&lt;b&gt;\\u001b]0;x\\u0007\\u009b2J\\u202egnol\\u2066" in page


@pytest.mark.parametrize(
    ("hold", "text"),
    [
        ({"kind": "CBP", "code": "1H"}, "1H"),
        ({"kind": "MANUAL", "code": "6H", "container_number": "CSQU3054383"}, "MANUAL 6H on CSQU3054383"),
        ({"kind": "BOX", "container_number": "CSQU305438"}, "BOX on CSQU305438"),
        ({"kind": "HOUSE", "because_of": "NVXAHBL000012345"}, "HOUSE because of NVXAHBL000012345"),
    ],
)
def test_a_hold_says_what_it_is_where_and_because_of_which_bill(hold: dict[str, str], text: str) -> None:
    assert hold_text({"code": None, "container_number": None, "because_of": None} | hold) == text
