"""A bill shown, explained, confirmed; dead letters read again."""

from __future__ import annotations

import json
import re

from router.demo.story import FILES
from tests.cli.conftest import BILL, CO_LOADED, Command

EVENT = {"scac": "NVXA", "bill_of_lading": "HBL000012345", "disposition_code": "3H", "action_at": "2026-07-16T10:00"}


def line(**changes: object) -> str:
    return json.dumps(EVENT | changes) + "\n"


def test_a_bill_says_its_status_and_who_was_told(routed: Command) -> None:
    (bill,) = routed.json("bill", "show", BILL)
    assert (bill["scac"], bill["bill_of_lading"]) == ("NVXA", "HBL000012345")
    assert (bill["status"], bill["deliverable"], bill["do_not_load"]) == ("RELEASED", True, False)
    assert (bill["manifested_quantity"], bill["released_quantity"]) == (120, 120)
    assert bill["release_posted_at"] == "2026-07-29T13:16:00Z"
    told = {one["recipient"]: one for one in bill["told"]}
    assert set(told) >= {"NVXA", "SLTC", "OCNX"}
    assert told["NVXA"]["roles"] == ["FILER"]
    sent = routed.json("tail", "--party", "NVXA", "--until-end")[-1]
    last = told["NVXA"]["last_notice"]
    assert (last["kind"], last["notice_id"]) == (sent["kind"], sent["notice_id"])
    assert [entry["disposition_code"] for entry in bill["timeline"]][-1] == "1C"


def test_a_bill_may_be_named_in_one_word_or_two(routed: Command) -> None:
    assert routed.json("bill", "show", "nvxa", "hbl000012345") == routed.json("bill", "show", BILL)
    assert BILL in routed("bill", "show", BILL).stdout


def test_both_bills_of_a_split_show_each_other(routed: Command) -> None:
    (original,) = routed.json("bill", "show", "HARXHX5550001")
    (part,) = routed.json("bill", "show", "HARXHX5550002")
    assert original["splits"] == ["HARXHX5550002"]
    assert part["original_bill"] == "HARXHX5550001"
    assert (original["status"], part["status"]) == ("HELD", "RELEASED")


def test_explain_gives_each_ground_its_own_role_and_rule(routed: Command) -> None:
    (explained,) = routed.json("explain", CO_LOADED)
    grounds = {
        one["recipient"]: [(ground["role"], ground["rule"], ground["when"]) for ground in one["grounds"]]
        for one in explained["told"]
    }
    aboard = "aboard EXEMPLAR-026E"
    assert grounds == {
        "NVXB": [("FILER", "1: issuer of the bill", "all")],
        "SLTC": [
            ("SNP", "2: second notify party on the bill", "all"),
            ("MASTER_CARRIER", "3: issued the master bill", "all"),
            ("MASTER_CARRIER", "3: the bill is on its manifest", "all"),
            ("CHARTERER", f"4: charterer, {aboard}, for its own bill", "all"),
        ],
        "OCNX": [("OPERATOR", f"4: operator, {aboard}, for a charterer's bill", "all")],
        "HARX": [("CHARTERER", f"4: charterer, {aboard}, granted do-not-load", "do-not-load")],
    }


def test_explain_prints_one_ground_a_line(routed: Command) -> None:
    lines = routed("explain", CO_LOADED).stdout.splitlines()
    master = next(line for line in lines if "issued the master bill" in line)
    assert master.split()[:2] == ["SLTC", "MASTER_CARRIER"]
    harx = next(line for line in lines if line.startswith("HARX"))
    assert re.search(r"CHARTERER .*granted do-not-load +do-not-load +CHANGE \d\d-\d\d", harx)


def test_explain_shows_a_party_that_was_notified_and_has_no_ground_any_more(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12", FILES / "2-do-not-load.camir")
    command("run", "--until-idle")
    without_harx = [row for row in (FILES / "sailings.csv").read_text().splitlines() if ",HARX," not in row]
    command("import", "sailings", command.write("sailings.csv", "\n".join(without_harx)))
    (explained,) = command.json("explain", BILL)
    assert [one["grounds"] for one in explained["told"] if one["recipient"] == "HARX"] == [[]]
    assert re.search(r"HARX +no rule any more +never +CHANGE", command("explain", BILL).stdout)


def test_explain_says_who_is_not_told_and_why(routed: Command) -> None:
    (explained,) = routed.json("explain", "HARXHX5550001")
    (not_told,) = explained["not_told"]
    assert not_told["recipient"] == "SLTC"
    rule = "4: charterer, aboard EXEMPLAR-026E, granted only its own bills"
    assert not_told["grounds"] == [{"role": None, "rule": rule, "when": "never"}]
    shown = routed("explain", "HARXHX5550001").stdout
    assert re.search(rf"^SLTC +{rule} +never +{not_told['reason']}", shown, re.MULTILINE)


def test_an_operator_s_word_settles_what_is_in_doubt_and_nothing_else(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    command("ingest", "-", stdin=line(disposition_code="QQ") + line(disposition_code="1H"))
    command("run", "--until-idle")
    (bill,) = command.json("bill", "show", BILL)
    assert {hold["kind"] for hold in bill["holds"]} == {"UNKNOWN_CODE", "CBP"}
    (unknown,) = (hold for hold in bill["holds"] if hold["kind"] == "UNKNOWN_CODE")
    words = ("--by", "J. Doe", "--reason", "by phone")
    command("bill", "confirm", BILL, *words, "--event", "0" * 24, code=3)
    (confirmed,) = command.json("bill", "confirm", BILL, *words, "--event", unknown["id"])
    assert confirmed["covers"] == [unknown["id"]]
    assert len(confirmed["letters"]) == 1
    assert command.json("dead-letters", "list") == []
    command("run", "--until-idle")
    (after,) = command.json("bill", "show", BILL)
    assert [hold["code"] for hold in after["holds"]] == ["1H"]
    refused = command("bill", "confirm", BILL, *words, code=2)
    assert "nothing to settle" in refused.stderr


def test_what_could_not_be_read_is_kept_shown_and_read_again_after_a_fix(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    taken = command("ingest", "-", stdin=line(action_at="2026-02-30T10:00") + "garbage\n")
    assert "2 dead letters" in taken.stdout
    assert "2026-02-30" in taken.stderr
    command("run", "--until-idle")
    letters = command.json("dead-letters", "list")
    stopping = next(letter for letter in letters if letter["bill_of_lading"])
    assert "content" not in stopping
    (whole,) = command.json("dead-letters", "show", stopping["id"][:8])
    assert json.loads(whole["content"])["action_at"] == "2026-02-30T10:00"
    assert command.json("bill", "show", BILL)[0]["status"] == "HELD"

    results = command.json("dead-letters", "retry", "--all", code=1)
    assert not any(result["retried"] for result in results)
    command.write("corrected.jsonl", line(disposition_code="3I"))
    (result,) = command.json("dead-letters", "retry", stopping["id"][:8], "--with", "corrected.jsonl")
    assert (result["retried"], result["events"]) == (True, 1)
    command("run", "--until-idle")
    assert command.json("bill", "show", BILL)[0]["holds"] == []
    assert stopping["id"] not in {letter["id"] for letter in command.json("dead-letters", "list")}
    settled = {letter["id"]: letter["settled"] for letter in command.json("dead-letters", "list", "--all")}
    assert settled[stopping["id"]] == "RETRIED"


def test_a_file_fed_in_by_mistake_is_put_away_and_what_stops_a_bill_is_not(command: Command) -> None:
    command.set_up()
    command("ingest", "-", stdin="price,list\n1,2\n")
    command("ingest", "-", stdin=line(disposition_code="QQ"))
    command("run", "--until-idle")
    letters = {letter["bill_of_lading"]: letter["id"] for letter in command.json("dead-letters", "list")}
    command("dead-letters", "dismiss", letters[None][:8], "--reason", "our own price list")
    assert [letter["bill_of_lading"] for letter in command.json("dead-letters", "list")] == [BILL[4:]]
    settled = {letter["id"]: letter["settled"] for letter in command.json("dead-letters", "list", "--all")}
    assert settled[letters[None]] == "DISMISSED"
    stops = command("dead-letters", "dismiss", letters[BILL[4:]], "--reason", "in the way", code=2)
    assert f"bill confirm {BILL}" in stops.stderr
    again = command("dead-letters", "dismiss", letters[None], "--reason", "once more", code=2)
    assert "settled already" in again.stderr


def test_a_code_that_was_added_to_the_table_makes_its_letters_readable(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    command("ingest", "-", stdin=line(disposition_code="QQ"))
    command("run", "--until-idle")
    command.write("codes.csv", "code,meaning,agency,effect\nQQ,an informal note,CBP,INFO\n")
    command.write("snp-router.toml", '[rules]\ndisposition_codes = "codes.csv"\n')
    (result,) = command.json("dead-letters", "retry", "--all")
    assert result["retried"]
    command("run", "--until-idle")
    assert command.json("bill", "show", BILL)[0]["holds"] == []
