"""`import` and `ingest`."""

from __future__ import annotations

import itertools
import json
import signal
import time
from collections.abc import Callable
from pathlib import Path

from router.demo.story import FILES
from tests.cli.conftest import WAIT_SECONDS, Command, Terminal

NVXA = "id,contact_phone,webhook_url\nNVXA,+1-555-0130,https://nvxa.example/notices\n"


def wait_for(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not true():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def test_an_import_reports_what_it_changed(command: Command) -> None:
    (first,) = command.json("import", "parties", FILES / "parties.csv")
    assert first["added"] == ["OCNX", "SLTC", "HARX", "NVXA", "NVXB"]
    changed = command.write("changed.csv", "id,name\nNVXA,New Name\nNVXC,Third\n")
    (second,) = command.json("import", "parties", changed)
    assert (second["added"], second["changed"], second["unchanged"]) == (["NVXC"], ["NVXA"], [])


def test_invalid_rows_are_named_and_the_others_are_imported(command: Command) -> None:
    wrong = command.write("wrong.csv", "id,status,colour\nNVXA,live,red\nNV1,live,\nNVXB,asleep,\n")
    (done,) = command.json("import", "parties", wrong, code=1)
    assert done["added"] == ["NVXA"]
    assert [problem["place"] for problem in done["problems"]] == [
        f"{wrong}: row 3, column 'id'",
        f"{wrong}: row 4, column 'status'",
    ]
    assert any("colour" in note for note in done["notes"])


def test_no_party_can_claim_the_scac_of_another(command: Command) -> None:
    command("import", "parties", command.write("a.csv", "id,aliases\nNVXA,NVXZ\n"))
    (done,) = command.json("import", "parties", command.write("b.csv", "id,aliases\nNVXB,NVXZ\n"), code=1)
    assert done["added"] == []
    assert "NVXZ already stands for the party NVXA" in done["problems"][0]["reason"]


def test_ingest_counts_its_input_and_run_counts_what_was_new(command: Command) -> None:
    command.set_up()
    files = sorted(FILES.glob("[1-9]-*"))
    taken = json.loads(command.process("ingest", *files, "--format", "json").stdout)
    assert (taken["files"], taken["events"], taken["urgent"], taken["dead_letters"]) == (7, 14, 3, 0)
    routed = json.loads(command.process("run", "--until-idle", "--format", "json").stdout)
    assert (routed["events"], routed["dead_letters"]) == (14, 0)
    command("ingest", *files)
    (again,) = command.json("run", "--until-idle")
    assert (again["events"], again["hold"], again["change"], again["release"]) == (0, 0, 0, 0)


def test_standard_input_and_folders_are_ingested(command: Command) -> None:
    command.set_up()
    (command.folder / "inbox").mkdir()
    for name in ("1-on-file.x12", "2-do-not-load.camir"):
        (command.folder / "inbox" / name).write_text((FILES / name).read_text())
    assert "2 files: 4 events, 1 urgent" in command("ingest", "inbox").stdout
    line = {"scac": "NVXA", "bill_of_lading": "HBL000012345", "disposition_code": "6I", "action_at": "2026-07-15T16:55"}
    assert "1 event, 0 urgent" in command("ingest", "-", stdin=json.dumps(line)).stdout


def test_an_interchange_on_standard_input_is_routed_while_the_pipe_stays_open(command: Command) -> None:
    command.set_up()
    ingest = command.start("ingest", "-")
    assert ingest.stdin is not None
    ingest.stdin.write((FILES / "1-on-file.x12").read_text())
    ingest.stdin.flush()

    routed = 0

    def is_routed() -> bool:
        nonlocal routed
        (one_run,) = command.json("run", "--until-idle")
        routed += one_run["events"]
        return routed == 3

    wait_for(is_routed)
    assert ingest.poll() is None
    out, _ = ingest.communicate(timeout=WAIT_SECONDS)
    assert "1 file: 3 events" in out


ACKNOWLEDGEMENT = "ST*997*0001~AK1*SO*1~AK9*A*1*1*1~SE*4*0001~"


def test_the_summary_counts_what_is_for_others_or_put_aside_or_in_doubt(command: Command) -> None:
    command.set_up()
    sample = (FILES / "1-on-file.x12").read_text()
    isa, gs, *_ = sample.splitlines()
    command.write("doubt.x12", sample.replace("GE*2*501", "GE*3*501"))
    command.write("test.x12", sample.replace("*P*>~", "*T*>~"))
    command.write("acknowledgement.x12", f"{isa}{gs}{ACKNOWLEDGEMENT}GE*1*501~IEA*1*000000501~")
    command.write("manifest.camir", "ACROCNX      MR26071408120500501\nZCROCNX      MR                   00000\n")
    names = ("doubt.x12", "test.x12", "acknowledgement.x12", "manifest.camir")
    done = command("ingest", *names).stdout
    assert "4 files: 3 events, 0 urgent, 2 dead letters; 1 message in doubt" in done
    assert "3 messages for others: 1 × test interchange (put aside), 1 × 997, 1 × CAMIR MR" in done
    (fields,) = command.json("ingest", *names)
    assert (fields["in_doubt"], fields["filings"], fields["refused"]) == (1, 0, [])
    assert fields["others"] == {"test interchange (put aside)": 1, "997": 1, "CAMIR MR": 1}


def test_a_watched_file_with_messages_for_others_alone_is_done(command: Command) -> None:
    command.set_up()
    isa, gs, *_ = (FILES / "1-on-file.x12").read_text().splitlines()
    (command.folder / "inbox").mkdir()
    command.write("inbox/a.x12", f"{isa}{gs}{ACKNOWLEDGEMENT}GE*1*501~IEA*1*000000501~")
    command.start("ingest", "--watch", "inbox", "--settle-seconds", "0.1")
    wait_for(lambda: (command.folder / "inbox" / "done" / "a.x12").exists())


def test_a_link_found_in_a_folder_is_said_and_the_rest_is_ingested(command: Command) -> None:
    command.set_up()
    secret = command.write("secret", "secret\n")
    (command.folder / "inbox").mkdir()
    (command.folder / "inbox" / "a.x12").symlink_to(secret)
    (command.folder / "inbox" / "b.x12").write_text((FILES / "1-on-file.x12").read_text())
    done = command("ingest", "inbox", code=1)
    assert "1 file: 3 events" in done.stdout
    assert "not read: inbox/a.x12 is a symbolic link" in done.stderr
    assert "1 file: 3 events" in command("ingest", "inbox/b.x12").stdout
    command("run", "--until-idle")
    assert command.json("dead-letters", "list") == []


def test_a_snapshot_starts_with_bills_under_way(command: Command, tmp_path: Path) -> None:
    command.set_up()
    header = (
        "scac,bill_of_lading,status_at,manifested_quantity,released_quantity,release_posted_at,holds,snps,surprise\n"
    )
    row = "NVXA,MIDDLE1,2026-07-20T12:00,10,,,1H//10/2026-07-19T09:00,SLTC,x\n"
    (done,) = command.json("import", "bills", command.write("bills.csv", header + row))
    assert done["taken_in"] == 1
    assert any("surprise" in note for note in done["notes"])
    command("run", "--until-idle")
    (bill,) = command.json("bill", "show", "NVXAMIDDLE1")
    assert (bill["status"], bill["holds"][0]["placed_at"]) == ("HELD", "2026-07-19T13:00:00Z")


def test_ctrl_c_interrupts_a_wait_for_standard_input(command: Command) -> None:
    command.set_up()
    ingest = command.start("ingest", "-")
    assert ingest.stdin is not None
    ingest.stdin.write("{}\n" * 100_000)  # more than a pipe holds: when this is written, it is reading
    ingest.stdin.flush()
    ingest.send_signal(signal.SIGINT)
    assert ingest.wait(timeout=WAIT_SECONDS) == 130


def test_a_watched_folder_is_emptied_into_done_and_failed(command: Command) -> None:
    command.set_up()
    inbox = command.folder / "inbox"
    inbox.mkdir()
    watch = command.start("ingest", "--watch", "inbox", "--settle-seconds", "0.1", "--format", "json")
    (inbox / "good.x12").write_text((FILES / "1-on-file.x12").read_text())
    (inbox / "bad.jsonl").write_text("{}\n")
    wait_for(lambda: (inbox / "done" / "good.x12").exists() and (inbox / "failed" / "bad.jsonl").exists())
    assert "dead letters 1" in (inbox / "failed" / "bad.jsonl.report.txt").read_text()
    watch.send_signal(signal.SIGTERM)
    out, _ = watch.communicate(timeout=WAIT_SECONDS)
    assert watch.returncode == 130
    by_file = {Path(one["file"]).name: one["events"] for one in map(json.loads, out.splitlines())}
    assert by_file == {"good.x12": 3, "bad.jsonl": 0}


def test_an_import_of_very_many_parties_and_aliases_ends(command: Command) -> None:
    names = ["".join(letters) for letters in itertools.islice(itertools.product("ABCDEFGHIJ", repeat=4), 3000)]
    aliases = [names[start : start + 100] for start in range(1000, 3000, 100)]
    rows = [
        f"{name},{';'.join(of_party)}\n"
        for name, of_party in itertools.zip_longest(names[:1000], aliases, fillvalue=())
    ]
    done = command("import", "parties", command.write("parties.csv", "id,aliases\n" + "".join(rows)))
    assert "1000 added" in done.stdout
    clash = command.write("clash.csv", "id,aliases\nZZZZ,AAAB;AAAC\n")
    assert "AAAB already stands for the party AAAB" in command("import", "parties", clash, code=1).stderr


def test_an_import_reports_what_a_party_loses(command: Command) -> None:
    command.set_up()
    command("import", "parties", "-", stdin="id,status,contact_phone,aliases\nSLTC,suspended,+1-555-0110,SLTD\n")
    told = command("import", "parties", "-", stdin="id,contact_phone\nSLTC,+1-555-0110\n").stderr
    assert "SLTC loses aliases: this file leaves that empty" in told
    assert "SLTC: its status was suspended and is now live" in told


def test_a_webhook_url_with_a_password_is_refused(command: Command) -> None:
    wrong = NVXA.replace("https://", "https://user:secret@")
    assert "webhook_url" in command("import", "parties", "-", stdin=wrong, code=1).stderr


def test_on_a_terminal_a_watched_folder_names_the_report(command: Command, terminal: Callable[..., Terminal]) -> None:
    (command.folder / "inbox").mkdir()
    watch = terminal("ingest", "--watch", "inbox", "--settle-seconds", "0")
    assert watch.shows("watching inbox; Ctrl-C stops")
    command.write("inbox/bad.jsonl", "nonsense\n")
    assert watch.shows("report: inbox/failed/bad.jsonl.report.txt")


def test_an_id_is_unique_across_types_and_a_refusal_names_file_and_row(command: Command) -> None:
    command("import", "parties", command.write("a.csv", "id,id_type,aliases\nABCD,,\nZ999,,\nWXYZ,FIRMS,\n"))
    wrong = command.write("b.csv", "id,id_type,aliases\nNVXB,,FIRMS:ABCD\nWXYZ,SCAC,\n2704ABC01,,\nZ99,FIRMS,\n")
    (done,) = command.json("import", "parties", wrong, code=1)
    assert done["added"] == ["2704ABC01"]
    assert sorted(problem["place"] for problem in done["problems"]) == [
        f"{wrong}: row 2",
        f"{wrong}: row 3",
        f"{wrong}: row 5, column 'id'",
    ]
    kinds = {party["id"]: party["id_type"] for party in command.json("parties")}
    assert kinds == {"ABCD": "SCAC", "Z999": "FIRMS", "WXYZ": "FIRMS", "2704ABC01": "ABI"}
