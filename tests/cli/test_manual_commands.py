"""`hold place`, `hold lift`, `release` and `outage`."""

from __future__ import annotations

from router.demo.story import FILES
from tests.cli.conftest import BILL, Command

BY = ("--by", "J. Doe")


def test_an_outage_is_declared_changed_and_ended_and_its_history_is_kept(command: Command) -> None:
    command.set_up()
    reason = ("--reason", "ACE is <down>")
    (declared,) = command.json("outage", "declare", "--port", "2704", *reason, *BY)
    command("outage", "change", declared["id"][:4], "--ticket", "4711")
    assert "4711" in command("outage", "list").stdout
    command("outage", "end", declared["id"], "--by", "A. Roe")
    assert command.json("outage", "list") == []
    (kept,) = command.json("outage", "list", "--all")
    assert (kept["ticket"], kept["declared_by"], kept["ended_by"]) == ("4711", "J. Doe", "A. Roe")
    command("outage", "list", "--all", "--html", "history.html")
    assert "ACE is &lt;down&gt;" in (command.folder / "history.html").read_text()
    assert "is over already" in command("outage", "end", declared["id"], *BY, code=2).stderr


def test_invalid_entries_are_refused(command: Command) -> None:
    command.set_up()
    (lasts,) = command.json("outage", "declare", "--reason", "x", *BY)
    for words, says in (
        (("outage", "change", lasts["id"], "--until", "2020-01-01T08:12"), "until"),
        (("outage", "end", lasts["id"], "--at", "2099-01-01T08:12", *BY), "still to come"),
        (("outage", "declare", "--port", "LAX", "--reason", "x", *BY), "port"),
        (("outage", "declare", "--reason", " ", *BY), "reason"),
        (("outage", "declare", "--reason", "x", "--until", "2020-01-01T08:12", *BY), "until"),
        (("hold", "place", BILL, "--code", "1C", *BY), "places no hold"),
        (("hold", "place", BILL, "--code", "QQ", *BY), "code QQ is unknown"),
        (("hold", "place", BILL, "--code", "6H", "--said-at", "2099-01-01T08:12", *BY), "still to come"),
        (("hold", "place", BILL, "--code", "6H", "--channel", "pigeon", *BY), "channel"),
        (("hold", "place", BILL, "--code", "6H", "--container", "X", *BY), "container"),
        (("release", BILL, "--code", "6H", *BY, "--source", "CBP"), "is not a release"),
        (("paper", "add", *BY), "--csv"),
        (("paper", "add", BILL, *BY), "delivered_at"),
    ):
        assert says in command(*words, code=2).stderr, words


def test_a_hold_by_hand_announces_its_notices_and_reaches_the_parties(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    command("run", "--until-idle")
    (placed,) = command.json("hold", "place", BILL, "--code", "6H", *BY, "--source", "CBP Los Angeles")
    command("run", "--until-idle")
    (told,) = command.json("tail", "--party", "SLTC", "--until-end", "--kind", "hold")[:1]
    assert (told["flags"], told["holds"][0]["kind"]) == (["MANUAL"], "MANUAL")
    assert {"recipient": "SLTC", "kind": "hold"} in placed["notices"]
    command("hold", "lift", BILL, *BY)
    assert "say who at CBP gave it" in command("release", BILL, *BY, code=2).stderr
    command("release", BILL, *BY, "--source", "CBP Los Angeles")
    command("run", "--until-idle")
    assert command.json("bill", "show", BILL)[0]["holds"] == []


def test_a_hold_by_hand_says_why_somebody_can_not_be_notified(command: Command) -> None:
    """A do-not-load by phone, with a slip in the IMO number: the ship's operator is not among its recipients."""
    command.set_up()
    voyage = ("--carrier", "SLTC", "--voyage", "S26E", "--snp", "HARX")
    place = ("hold", "place", "NVXBHBL900", "--code", "6H", *BY, *voyage)
    assert "NO_SAILING: no sailing matches" in command(*place, "--imo", "9074728").stderr
    assert "NO_SAILING" not in command(*place, "--imo", "9074729").stderr
    (placed,) = command.json(*place, "--imo", "9074728")
    assert placed["waiting"] == ["NO_SAILING", "DO_NOT_LOAD"]


def test_the_checklist_is_filled_in_and_leaves_room_for_the_unknown(command: Command) -> None:
    command.set_up()
    command("outage", "declare", "--port", "2704", "--reason", "ACE is down", "--ticket", "<4711>", *BY)
    shown = command("outage", "checklist", "--port", "2704").stdout
    assert "may load" not in shown
    assert "may load" in command("outage", "checklist", "--port", "2704", "--carrier", "SLTC").stdout
    assert "ticket number: <4711>" in shown
    assert "expected return: ____" in shown
    assert "OCNX: Duty manager, +1-555-0100" in shown
    command("outage", "checklist", "--port", "2704", "--html", "list.html")
    page = (command.folder / "list.html").read_text()
    assert "&lt;4711&gt;" in page
    assert '<span class="field">' in page
