"""`tail`, `bill show`, `explain`, `waiting`, `unread`."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable

import pytest

from router.clock import now_milliseconds
from router.codec import published
from router.demo.story import FILES
from router.model.eastern import iso
from tests.cli.conftest import BILL, CO_LOADED, WAIT_SECONDS, Command, Terminal, event_line


def test_tail_shows_notices_with_the_schema_s_field_names(routed: Command) -> None:
    notices = routed.json("tail", "--party", "NVXA", "--until-end")
    names = [field["name"] for field in published.raw_schema("hold")["fields"]]
    assert all(list(notice) == ["kind", *names] for notice in notices)
    posted = {notice["disposition_code"]: notice["action_at"] for notice in notices}
    assert posted["6H"] == "2026-07-14T12:12:00Z"
    assert notices[-1]["status"] == "RELEASED"
    assert {notice["bill_of_lading"] for notice in notices} == {"HBL000012345"}


def test_tail_can_be_limited_to_a_kind(routed: Command) -> None:
    holds = routed.json("tail", "--party", "OCNX", "--until-end", "--kind", "hold")
    assert holds
    assert {notice["kind"] for notice in holds} == {"hold"}


def test_tail_shows_what_was_written_since_and_until_a_time(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    command("run", "--until-idle")
    between = iso(now_milliseconds() + 1)
    command("ingest", FILES / "2-do-not-load.camir")
    command("run", "--until-idle")

    def codes(*span: str) -> list[str]:
        return [one["disposition_code"] for one in command.json("tail", "--party", "NVXA", "--until-end", *span)]

    assert codes() == [*codes("--until", between), *codes("--since", between)]
    assert codes("--since", between) == ["6H"]
    assert "6H" not in codes("--until", between)
    assert codes("--since", "2h") == codes()
    assert codes("--until", "2h") == []
    timeline = command.json("tail", "--timeline", "--until-end", "--since", between)
    assert {entry["disposition_code"] for entry in timeline} >= {"6H"}
    assert "69" not in {entry["disposition_code"] for entry in timeline}


def test_tail_since_goes_on_with_new_records(terminal: Callable[..., Terminal]) -> None:
    shown = terminal("tail", "--party", "NVXA", "--since", "1h")
    assert shown.shows("following snp.party.NVXA")
    assert "from now on" not in shown.seen


@pytest.mark.parametrize(
    ("span", "says"),
    [
        (("--since", "soon"), "since: 'soon' is not a time: write 2026-07-14T22:00"),
        (("--since", "2099-01-01T00:00"), "is still to come"),
        (("--since", "1h", "--until", "2h"), "is not later than since"),
        (("--since", "1h", "--from-start"), "give --since or --from-start"),
    ],
)
def test_tail_refuses_a_span_that_can_t_be(routed: Command, span: tuple[str, ...], says: str) -> None:
    assert says in routed("tail", "--timeline", *span, code=2).stderr


def test_tail_accepts_an_alias_of_a_party(command: Command) -> None:
    command("import", "parties", command.write("a.csv", "id,aliases\nNVXA,NVXZ\n"))
    assert command.json("tail", "--party", "nvxz", "--until-end") == []


def test_tail_shows_the_timeline_with_the_input_as_fields(routed: Command) -> None:
    entries = routed.json("tail", "--timeline", "--until-end")
    stop = next(entry for entry in entries if entry["disposition_code"] == "6H")
    assert stop["input"]["record"] == "disposition"
    assert stop["input"]["action_at"] == "2026-07-14T12:12:00Z"
    assert {notified["recipient"] for notified in stop["notified"]} >= {"NVXA", "SLTC", "OCNX", "HARX"}


def test_a_table_shows_a_party_its_own_bills_only(routed: Command) -> None:
    shown = routed("tail", "--party", "NVXB", "--until-end").stdout
    assert "DO_NOT_LOAD" in shown
    assert CO_LOADED in shown
    assert BILL not in shown


def test_a_hold_on_a_box_of_ten_bills_is_one_group_of_ten_notices(command: Command) -> None:
    """Ten of NVXA's bills are in one box, which CBP stops by one 6H."""
    bills = [f"HBLBOX{number}" for number in range(10)]
    aboard = {"container_numbers": ["CSQU3054383"], "quantity": 5}
    command.set_up()
    command(
        "ingest", "-", stdin="".join(event_line(bill_of_lading=one, disposition_code="69", **aboard) for one in bills)
    )
    command("run", "--until-idle")
    stop = aboard | {"action_at": "2026-07-17T11:00"}
    command("ingest", "-", stdin=event_line(bill_of_lading=bills[0], disposition_code="6H", **stop))
    command("run", "--until-idle")
    holds = command.json("tail", "--party", "NVXA", "--until-end", "--kind", "hold")
    assert {one["bill_of_lading"] for one in holds} >= {*bills}
    assert len({one["event_id"] for one in holds}) == 1
    shown = command("tail", "--party", "NVXA", "--until-end", "--kind", "hold").stdout.splitlines()
    assert shown[1] == f"HOLD of {len(holds)} bills, by one event: 6H"
    assert all(one.startswith("  ") for one in shown[2:])
    each = command("tail", "--party", "NVXA", "--until-end", "--kind", "hold", "--each").stdout.splitlines()
    assert each[1:] == [one[2:] for one in shown[2:]]


def test_tail_shows_a_waiting_bill_until_the_missing_piece_is_imported(command: Command) -> None:
    command("import", "parties", command.write("a.csv", "id\nNVXA\n"))
    command("ingest", FILES / "1-on-file.x12")
    command("run", "--until-idle")
    waiting = {row["bill_of_lading"]: row for row in command.json("tail", "--waiting", "--until-end")}
    assert "SLTC" in waiting["HBL000012345"]["parties"]
    command.set_up()
    command("run", "--until-idle")
    left = {row["bill_of_lading"] for row in command.json("tail", "--waiting", "--until-end")}
    assert "HBL000012345" not in left


def test_a_bill_shows_its_status_and_its_recipients(routed: Command) -> None:
    (bill,) = routed.json("bill", "show", BILL)
    assert (bill["scac"], bill["bill_of_lading"]) == ("NVXA", "HBL000012345")
    assert (bill["status"], bill["deliverable"], bill["do_not_load"]) == ("RELEASED", True, False)
    assert (bill["manifested_quantity"], bill["released_quantity"]) == (120, 120)
    assert bill["release_posted_at"] == "2026-07-29T13:16:00Z"
    notified = {one["recipient"]: one for one in bill["notified"]}
    assert set(notified) >= {"NVXA", "SLTC", "OCNX"}
    assert notified["NVXA"]["roles"] == ["FILER"]
    sent = routed.json("tail", "--party", "NVXA", "--until-end")[-1]
    last = notified["NVXA"]["last_notice"]
    assert (last["kind"], last["notice_id"]) == (sent["kind"], sent["notice_id"])
    assert [entry["disposition_code"] for entry in bill["timeline"]][-1] == "1C"


def test_a_bill_shows_each_of_its_containers(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    on_box = {"container_numbers": ["CSQU3054383"], "container_level": True}
    on_other = {"container_numbers": ["MSKU9070323"], "container_level": True}
    permit = event_line(disposition_code="1W", action_at="2026-07-16T09:00", **on_box)
    command("ingest", "-", stdin=permit + event_line(**on_other))
    command("run", "--until-idle")
    (bill,) = command.json("bill", "show", BILL)
    free, held = bill["containers"]
    assert (free["number"], free["authorises"], free["stopped"]) == ("CSQU3054383", ["PERMIT_TO_TRANSFER"], False)
    assert (held["number"], held["authorises"], held["stopped"]) == ("MSKU9070323", [], True)
    shown = command("bill", "show", BILL).stdout
    assert "container  CSQU3054383: not released; PERMIT_TO_TRANSFER" in shown
    assert "container  MSKU9070323: stopped" in shown


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
        one["recipient"]: [(ground["role"], ground["rule"], ground["scope"]) for ground in one["grounds"]]
        for one in explained["notified"]
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
        "OCNX": [("OPERATOR", f"4: operator, {aboard}, granted holds", "holds")],
        "HARX": [("CHARTERER", f"4: charterer, {aboard}, granted do-not-load", "do-not-load")],
    }


def test_explain_prints_one_ground_a_line(routed: Command) -> None:
    lines = routed("explain", CO_LOADED).stdout.splitlines()
    master = next(line for line in lines if "issued the master bill" in line)
    assert master.split()[:2] == ["SLTC", "MASTER_CARRIER"]
    harx = next(line for line in lines if line.startswith("HARX"))
    assert re.search(r"CHARTERER .*granted do-not-load +do-not-load +CHANGE *$", harx)


def test_explain_shows_a_party_that_was_notified_and_has_no_ground_any_more(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12", FILES / "2-do-not-load.camir")
    command("run", "--until-idle")
    without_harx = [row for row in (FILES / "sailings.csv").read_text().splitlines() if ",HARX," not in row]
    command("import", "sailings", command.write("sailings.csv", "\n".join(without_harx)))
    (explained,) = command.json("explain", BILL)
    gone = "notified of a stop, on a ground that is gone: until its end"
    (harx,) = (one["grounds"] for one in explained["notified"] if one["recipient"] == "HARX")
    assert harx == [{"role": "CHARTERER", "rule": gone, "scope": "never", "reason": None}]
    assert re.search(rf"HARX +CHARTERER +{gone} +never +CHANGE", command("explain", BILL).stdout)


def test_explain_shows_who_is_not_notified_and_why(routed: Command) -> None:
    (explained,) = routed.json("explain", "HARXHX5550001")
    (not_notified,) = explained["not_notified"]
    assert not_notified["recipient"] == "SLTC"
    rule = "4: charterer, aboard EXEMPLAR-026E, granted only its own bills"
    ground = {"role": None, "rule": rule, "scope": "never", "reason": "excluded by this rule"}
    assert not_notified["grounds"] == [ground]
    shown = routed("explain", "HARXHX5550001").stdout
    assert re.search(rf"^SLTC +{rule} +never +{not_notified['reason']}", shown, re.MULTILINE)


def test_explain_gives_the_true_reason_also_for_a_party_that_is_not_aboard(command: Command) -> None:
    command.set_up()
    wrong = (FILES / "sailings.csv").read_text().replace("HX026", "HX999")
    command("import", "sailings", command.write("wrong.csv", wrong))
    command("ingest", FILES / "1-on-file.x12")
    command("run", "--until-idle")
    (explained,) = command.json("explain", "HARXHX5550001")
    reason = "voyage number HX026 is not HARX's HX999"
    assert (explained["sailing_id"], explained["sailing_assumed"]) == (None, "EXEMPLAR-026E")
    assert explained["sailing_reasons"] == [f"EXEMPLAR-026E: {reason}"]
    shown = command("explain", "HARXHX5550001").stdout
    assert "sailing EXEMPLAR-026E is assumed, so its operator gets stops alone:" in shown
    rule = "4: charterer, perhaps aboard EXEMPLAR-026E: only the operator of an assumed sailing is notified"
    assert rule in {ground["rule"] for one in explained["not_notified"] for ground in one["grounds"]}
    (alone,) = command.json("explain", "HARXHX5550001", "--party", "nvxb")
    assert [one["recipient"] for one in alone["not_notified"]] == ["NVXB"]
    assert alone["not_notified"][0]["grounds"][0] == {
        "role": None, "rule": "1: issuer of the bill", "scope": "never", "reason": "that is HARX",
    }  # fmt: skip


def test_explain_of_a_party_that_nothing_connects_goes_through_all_rules(routed: Command) -> None:
    (explained,) = routed.json("explain", BILL, "--party", "RIVL")
    assert explained["notified"] == []
    ((rivl),) = explained["not_notified"]
    assert [(ground["rule"], ground["reason"]) for ground in rivl["grounds"]] == [
        ("any: only a registered party has a topic", "RIVL is not registered (`import parties`)"),
        ("1: issuer of the bill", "that is NVXA"),
        ("2: second notify party on the bill", "that is SLTC"),
        ("3: issued the master bill", "that is SLTC"),
        ("3: the bill is on its manifest", "that is SLTC"),
        ("4: aboard the bill's sailing", "no line of EXEMPLAR-026E, which has OCNX, SLTC, HARX"),
        ("5: its bill is in a stopped container", "that concerns its own bills: explain one of those instead"),
    ]
    shown = routed("explain", BILL, "--party", "RIVL").stdout
    for ground in rivl["grounds"]:
        assert re.search(rf"^RIVL +{re.escape(ground['rule'])} +never +{re.escape(ground['reason'])}", shown, re.M)


def test_explain_names_another_sailing_of_the_vessel_that_the_party_is_aboard(command: Command) -> None:
    command.set_up()
    later = "EXEMPLAR-030E,9074729,OCEAN EXEMPLAR,2026-09-30,{},030E,holds,2704\n"
    header = (FILES / "sailings.csv").read_text().splitlines(keepends=True)[0]
    rows = later.format("OCNX,operator") + later.format("RIVL,charterer")
    command("import", "sailings", command.write("later.csv", header + rows))
    command("ingest", FILES / "1-on-file.x12")
    command("run", "--until-idle")
    (explained,) = command.json("explain", BILL, "--party", "RIVL")
    aboard = next(one for one in explained["not_notified"][0]["grounds"] if one["rule"].startswith("4:"))
    assert aboard["reason"].endswith("; it is aboard EXEMPLAR-030E of the same vessel")


def test_explain_of_one_party_counts_the_decisions_it_was_not_notified_of(routed: Command) -> None:
    (explained,) = routed.json("explain", BILL, "--party", "HARX")
    (missed,) = explained["missed"]
    assert (missed["disposition_code"], missed["notified"]) == ("1C", ["NVXA", "SLTC"])
    shown = routed("explain", BILL, "--party", "HARX").stdout
    assert "HARX was not notified of 1 decision since its last notice, the latest 1C of 07-29 13:16Z" in shown
    (heard_all,) = routed.json("explain", BILL, "--party", "SLTC")
    assert heard_all["missed"] == []


def test_an_error_for_an_unknown_name_lists_the_known_ones(routed: Command) -> None:
    assert "HARX, NVXA" in routed("tail", "--party", "ZZZZ", code=3).stderr
    assert "NOWHERE of NVXA" in routed("bill", "show", "NVXANOWHERE", code=3).stderr
    routed("dead-letters", "show", "ffff", code=3)


def test_a_reader_is_warned_that_routing_is_behind(command: Command) -> None:
    command.set_up()
    command("ingest", FILES / "1-on-file.x12")
    assert "snp-router run" in command("bill", "show", BILL, code=3).stderr
    command("run", "--until-idle")
    assert command("bill", "show", BILL).stderr == ""
    command("ingest", FILES / "2-do-not-load.camir")
    assert "not routed yet" in command("bill", "show", BILL, "--format", "json", code=1).stderr


def test_a_live_tail_sees_what_another_process_routes_and_ctrl_c_ends_both(command: Command) -> None:
    command.set_up()
    run = command.start("run")
    tail = command.start("tail", "--party", "NVXB", "--from-start", "--format", "json")
    command("ingest", FILES / "1-on-file.x12", FILES / "2-do-not-load.camir")
    assert tail.stdout is not None
    notices = [json.loads(tail.stdout.readline()) for _ in range(2)]
    assert [notice["kind"] for notice in notices] == ["change", "hold"]
    for process in (tail, run):
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=WAIT_SECONDS)
        assert process.returncode == 130
        assert "Traceback" not in errors
    assert [json.loads(line)["event"] for line in errors.splitlines()]  # the router's: log lines, and nothing else


def test_waiting_bills_are_listed_with_what_they_wait_for(command: Command) -> None:
    command("import", "parties", command.write("p.csv", "id\nNVXA\n"))
    event = '{"scac": "NVXA", "bill_of_lading": "B1", "disposition_code": "%s", "action_at": "2026-07-14T08:12"}\n'
    other = event.replace("B1", "B2")
    command("ingest", command.write("e.jsonl", other % "1H" + event % "6H"))
    command("run", "--until-idle")
    rows = command.json("waiting", "list")
    assert [(row["bill_of_lading"], row["do_not_load"]) for row in rows] == [("B1", True), ("B2", False)]
    told = command("waiting", "list").stderr
    assert "1 of 2 must not be loaded" in told
    for looked in (told, command("bill", "show", "NVXAB1").stderr, command("explain", "NVXAB1").stderr):
        assert "NO_SAILING: no sailing matches its IMO number, carrier and voyage number: `snp-router import" in looked


@pytest.fixture
def twelve_waiting(command: Command) -> Command:
    """Twelve bills that no sailing fits, one of them with a do-not-load; of seven an SNP is not registered either."""
    command("import", "parties", command.write("p.csv", "id\nNVXA\n"))
    rows = [f"NVXA,B{number},{'RIVL' if number < 7 else 'NVXA'}\n" for number in range(12)]
    command("import", "filings", command.write("f.csv", "scac,bill_of_lading,snps\n" + "".join(rows)))
    codes = {3: "6H"}
    events = [event_line(bill_of_lading=f"B{one}", disposition_code=codes.get(one, "1H")) for one in range(12)]
    command("ingest", "-", stdin="".join(events))
    command("run", "--until-idle")
    return command


def test_waiting_bills_are_grouped_by_what_is_missing_with_counts_and_the_remedy(twelve_waiting: Command) -> None:
    done = twelve_waiting("waiting", "list", "--limit", "2")
    lines = done.stdout.splitlines()
    assert lines[0] == "12 bills wait, 1 must not be loaded"
    assert "NO_SAILING: 12 bills wait, 1 must not be loaded" in lines
    assert "PARTY_UNKNOWN: 7 bills wait, 1 must not be loaded" in lines
    assert "10 more: --missing NO_SAILING --limit 12, or --format csv" in done.stderr
    assert "5 more: --missing PARTY_UNKNOWN --limit 7, or --format csv" in done.stderr
    assert "PARTY_UNKNOWN: one of its parties is not registered: `snp-router import parties FILE`" in done.stderr
    assert sum("NVXAB3" in line for line in lines) == 2, "the do-not-load comes first in each group"
    assert "1 of 12 must not be loaded: telephone" in done.stderr


def test_waiting_bills_can_be_limited_to_what_is_missing(twelve_waiting: Command) -> None:
    rows = twelve_waiting.json("waiting", "list", "--missing", "party-unknown", "--limit", "1")
    assert len(rows) == 7, "JSON has all rows"
    shown = twelve_waiting("waiting", "list", "--missing", "PARTY_UNKNOWN")
    assert shown.stdout.startswith("7 bills wait, 1 must not be loaded\n")
    assert "\nNO_SAILING:" not in shown.stdout
    other = twelve_waiting("waiting", "list", "--missing", "NO_TOPIC")
    assert other.stderr.endswith("no bill waits for that; 12 bills for something else\n")
    assert (
        "use CONTAINER_UNKNOWN, BILL_UNCERTAIN, NO_SAILING"
        in twelve_waiting("waiting", "list", "--missing", "money", code=2).stderr
    )


def test_unread_names_the_parties_whose_reading_is_unknown(routed: Command) -> None:
    done = routed("unread", "--threshold-minutes", "0", code=1)
    assert done.stdout.startswith("HARX, NVXA, NVXB, OCNX, SLTC: unknown: no production_group")
    assert "read\n" not in done.stdout
    assert all(one["unknown"] for one in routed.json("unread"))


def test_on_a_terminal_a_quiet_tail_shows_what_it_follows(command: Command, terminal: Callable[..., Terminal]) -> None:
    tail = terminal("tail", "--party", "SLTC")
    assert tail.shows("following snp.party.SLTC from now on")
    assert tail.shows("Ctrl-C stops")
    command("ingest", FILES / "1-on-file.x12", FILES / "2-do-not-load.camir")
    command("run", "--until-idle")
    assert tail.shows("DO_NOT_LOAD")
