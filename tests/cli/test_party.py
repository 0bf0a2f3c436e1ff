"""A party on SQLite, from its samples to live; what can't be told there is said."""

from __future__ import annotations

from router.demo.story import FILES
from tests.cli.conftest import BILL, Command

CERTIFYING = "scac,status,contact_phone,production_group\nSLTC,certifying,+1-555-0110,snp.SLTC.production\n"


def certifying(command: Command) -> None:
    command.set_up()
    command("import", "parties", "-", stdin=CERTIFYING)
    command("ingest", *sorted(FILES.glob("[1-7]*")))
    command("run", "--until-idle")


def test_samples_then_live_with_the_status_now(command: Command) -> None:
    certifying(command)
    notices = command.json("tail", "--party", "SLTC", "--until-end")
    assert all("TEST" in notice["flags"] for notice in notices)
    assert command.json("party", "show", "SLTC")[0]["samples"] == len(notices)
    opened = command("party", "live", "SLTC")
    assert "SLTC is live" in opened.stdout
    assert "it is not known to have read all of its samples" in opened.stderr
    assert "already" in command("party", "live", "SLTC").stdout
    command("run", "--until-idle")
    live = command.json("tail", "--party", "SLTC", "--until-end")[len(notices) :]
    assert {notice["cause"] for notice in live} == {"CATCH_UP"}
    assert BILL[4:] in {notice["bill_of_lading"] for notice in live}


def test_an_import_says_what_it_takes_away(command: Command) -> None:
    command.set_up()
    command("import", "parties", "-", stdin="scac,status,contact_phone,aliases\nSLTC,suspended,+1-555-0110,SLTD\n")
    told = command("import", "parties", "-", stdin="scac,contact_phone\nSLTC,+1-555-0110\n").stderr
    assert "SLTC loses aliases: this file leaves that empty" in told
    assert "SLTC: its status was suspended and is now live" in told


def test_suspended_means_that_its_bills_wait(command: Command) -> None:
    command.set_up()
    command("party", "suspend", "SLTC")
    command("ingest", FILES / "1-on-file.x12", FILES / "2-do-not-load.camir")
    command("run", "--until-idle")
    assert command.json("tail", "--party", "SLTC", "--until-end") == []
    assert "PARTY_NOT_LIVE:SLTC" in command.json("bill", "show", BILL)[0]["waiting"]


def test_certify_says_which_samples_are_there_and_that_sqlite_knows_no_reader(command: Command) -> None:
    certifying(command)
    shown = command("certify", "SLTC", code=1)
    assert "do-not-load" in shown.stdout
    assert "keeps no consumer groups" in shown.stderr
    assert not any(sample["read"] for sample in command.json("certify", "SLTC", code=1))
    assert "its status is live" in command("certify", "NVXA", code=1).stderr


def test_unread_names_those_of_whom_nobody_can_tell(routed: Command) -> None:
    done = routed("unread", "--threshold-minutes", "0")
    assert "HARX, NVXA, NVXB, OCNX, SLTC: cannot track reading: no production_group" in done.stderr
    assert done.stdout == "no party's reading is tracked\n"
    assert all(one["unknown"] for one in routed.json("unread"))
