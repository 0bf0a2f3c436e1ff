"""`POST /messages`: answers, scopes, limits and pressure."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from router import topics
from router.decide.rules import Rules
from router.engine import intake
from router.errors import FatalLogError, LogError, TaskRetry, UsageError
from router.feeds.bounded_input import OtherMessage
from router.feeds.formats import read_dead_letter, read_events
from router.listener import ListenSettings, message_server
from router.listener.message_server import serve_listener
from router.log.interface import Output
from router.model.inputs import DeadLetter, Disposition, Filing, Shipment
from router.model.registry_values import FeedActivity
from tests.feeds.samples import CAMIR_DO_NOT_LOAD, CAMIR_MANIFEST, X12_MANIFEST
from tests.listener.scene import Scene, event, listening

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with listening(tmp_path) as made:
        yield made


# What is taken


async def test_a_body_is_on_the_log_when_it_is_answered(scene: Scene) -> None:
    status, answer = await scene.post(event() + event(disposition_code="1C"))
    assert status == 200
    assert {name: answer[name] for name in ("events", "urgent", "filings", "dead_letters")} == {
        "events": 2,
        "urgent": 1,
        "filings": 0,
        "dead_letters": 0,
    }
    assert [one.disposition_code for one in await scene.values(topics.DISPOSITIONS)] == ["6H", "1C"]
    assert len(await scene.values(topics.URGENT)) == 1
    (activity,) = (one for one in await scene.values(topics.REGISTRY) if isinstance(one, FeedActivity))
    assert activity.feed == "cbp"


async def test_any_format_is_recognised(scene: Scene) -> None:
    status, answer = await scene.post(CAMIR_DO_NOT_LOAD)
    assert (status, answer["events"]) == (200, 1)


async def test_the_rest_of_a_body_is_taken_and_the_answer_names_what_was_put_aside(scene: Scene) -> None:
    status, answer = await scene.post(event(action_at="never") + event(), params={"source": "msg-17"})
    assert (status, answer["events"], answer["dead_letters"]) == (200, 1, 1)
    (letter,) = answer["put_aside"]
    assert letter["place"] == "relay: msg-17:record 1"
    assert "action_at" in letter["reason"]
    (kept, _) = await scene.values(topics.URGENT)
    assert (kept.id, kept.bill_of_lading) == (letter["id"], "B1")


async def test_a_body_of_which_nothing_can_be_read_is_refused_and_kept(scene: Scene) -> None:
    status, answer = await scene.post(b"nothing known\n")
    assert status == 422
    (letter,) = await scene.values(topics.DEAD_LETTERS)
    assert letter.id == answer["put_aside"][0]["id"]
    assert letter.content == b"nothing known\n"


@pytest.mark.parametrize("body", [b"", b" \r\n\x00"])
async def test_an_empty_body_is_refused(scene: Scene, body: bytes) -> None:
    assert (await scene.post(body))[0] == 400


async def test_messages_for_others_alone_are_no_fault(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    read_as(monkeypatch, [OtherMessage("997", "x"), OtherMessage("997", "y")])
    status, answer = await scene.post(b"ISA")
    assert (status, answer["others"]) == (200, {"997": 2})


async def test_the_same_body_again_is_taken_again(scene: Scene) -> None:
    """Identity absorbs it where it is routed; dead letters have the same ids."""
    bodies = [await scene.post(event() + b"{}\n") for _ in range(2)]
    assert [status for status, _ in bodies] == [200, 200]
    assert bodies[0][1]["put_aside"][0]["id"] == bodies[1][1]["put_aside"][0]["id"]


async def test_a_body_larger_than_a_batch_is_taken_whole(scene: Scene) -> None:
    lines = [event(action_at=f"2026-07-14T08:12:{n % 60:02}", quantity=1 + n // 60) for n in range(4321)]
    status, answer = await scene.post(b"".join(lines))
    assert (status, answer["events"]) == (200, 4321)
    assert len(await scene.values(topics.DISPOSITIONS)) == 4321


# Scopes


def read_as(monkeypatch: pytest.MonkeyPatch, results: Sequence[Any]) -> None:
    """Have any body read as these results."""

    def read(chunks: Iterator[bytes], *_: object, **__: object) -> Iterator[Any]:
        for _chunk in chunks:
            pass
        yield from results

    monkeypatch.setattr(intake, "read_events", read)


def filing(issuer: str) -> Filing:
    return Filing(issuer, "B1", "house", ("SLTC",), manifested_quantity=5, received_at=7, source="here")


async def test_a_sender_files_for_its_issuers_only_and_the_rest_is_put_aside(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = scene.add_token("edi", "filings", "NVXA,NVXB")
    read_as(monkeypatch, [filing("NVXA"), filing("OCNX"), filing("NVXB"), filing("OCNX")])
    status, answer = await scene.post(b"ISA", token)
    assert (status, answer["filings"], answer["dead_letters"]) == (200, 2, 1)
    assert {one.scac for one in await scene.values(topics.FILINGS)} == {"NVXA", "NVXB"}
    (letter,) = await scene.values(topics.DEAD_LETTERS)
    assert "the token edi may not file for OCNX (2)" in letter.reason
    assert letter.scac is None, "a filing stops nothing"
    first, second = map(json.loads, letter.content.splitlines())
    assert first == second
    assert (first["scac"], first["bill_of_lading"], first["snps"]) == ("OCNX", "B1", ["SLTC"])
    again = (await scene.post(b"ISA", token))[1]
    assert again["put_aside"][0]["id"] == letter.id


async def test_an_nvoccs_empty_is_put_aside(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    token = scene.add_token("edi", "filings", "NVXA")
    empty = filing("NVXA")._replace(bill_type="12", shipment=Shipment(master_bill="OCNXMB1"))
    read_as(monkeypatch, [filing("NVXA"), empty])
    _, answer = await scene.post(b"ISA", token)
    assert (answer["filings"], answer["dead_letters"]) == (1, 1)
    assert "an NVOCC files it" in answer["put_aside"][0]["reason"]


@pytest.mark.parametrize("manifest", [X12_MANIFEST, CAMIR_MANIFEST], ids=["309", "MI"])
async def test_a_manifest_is_taken_for_the_issuers_of_the_token(scene: Scene, manifest: bytes) -> None:
    declared = {one.scac for one in read_events([manifest], "f", 0) if isinstance(one, Filing)}
    assert len(declared) > 1
    for issuer in sorted(declared):
        status, answer = await scene.post(manifest, scene.add_token(f"edi-{issuer}", "filings", issuer))
        assert (status, answer["dead_letters"]) == (200, 1)
        taken = {one.scac for one in await scene.values(topics.FILINGS)}
        assert issuer in taken
    assert taken == declared
    status, answer = await scene.post(manifest)
    assert (status, answer["filings"]) == (403, 0)


async def test_a_body_of_which_the_token_covers_nothing_is_forbidden(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_as(monkeypatch, [filing("NVXA")])
    status, answer = await scene.post(b"ISA")
    assert (status, answer["filings"], len(answer["put_aside"])) == (403, 0, 1)
    assert await scene.values(topics.FILINGS) == []


async def test_a_sender_of_filings_can_stop_no_bill(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    token = scene.add_token("edi", "filings", "NVXA")
    unreadable = DeadLetter("1", "damaged", "x", "x12", b"X4", 2, "NVXA", "B2", "6H")
    event_ = Disposition("NVXA", "B1", "6H", 1_784_031_120_000, received_at=5)
    read_as(monkeypatch, [event_, unreadable, filing("NVXA")])
    status, answer = await scene.post(b"ISA", token)
    assert (status, answer["events"], answer["filings"], answer["dead_letters"]) == (200, 0, 1, 2)
    assert await scene.values(topics.DISPOSITIONS) == []
    letters = await scene.values(topics.DEAD_LETTERS)
    assert [(letter.scac, letter.bill_of_lading) for letter in letters] == [(None, None)] * 2


async def test_a_disposition_put_aside_can_be_read_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    token = scene.add_token("edi", "filings", "NVXA")
    body = event(containers=[], quantity=3, uncertain="MESSAGE", remarks="as it was")
    assert (await scene.post(body, token))[0] == 403
    (letter,) = await scene.values(topics.DEAD_LETTERS)
    assert letter.format == "jsonl"
    (read,) = read_events([letter.content], "again", 0)
    (once,) = read_events([body], "once", 0)
    assert isinstance(once, Disposition)
    assert read == once._replace(source="again:record 1")


async def test_a_disposition_put_aside_frees_nothing_when_it_is_read_again(scene: Scene) -> None:
    token = scene.add_token("edi", "filings", "NVXA")
    assert (await scene.post(event(disposition_code="1C"), token))[0] == 403
    (letter,) = await scene.values(topics.DEAD_LETTERS)
    (read,) = read_dead_letter(letter, 0)
    assert isinstance(read, Disposition)
    assert (read.disposition_code, read.uncertain) == ("1C", "MESSAGE")


async def test_a_sender_of_filings_replaces_no_dead_letter_that_stops_a_bill(scene: Scene) -> None:
    body = event(quantity="many")
    assert (await scene.post(body))[0] == 422
    assert (await scene.post(body, scene.add_token("edi", "filings", "NVXA")))[0] == 422
    (stopping,) = await scene.values(topics.URGENT)
    (letter,) = await scene.values(topics.DEAD_LETTERS)
    assert (stopping.bill_of_lading, letter.bill_of_lading) == ("B1", None)
    assert stopping.id != letter.id


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer snp_wrong", "Basic cmVsYXk6eA==", "Bearer \u00e9", "relay"],
)
async def test_nobody_without_a_token_is_heard(scene: Scene, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    async with scene.session.post(scene.listener.url, data=event(), headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert await scene.values(topics.DISPOSITIONS) == []


async def test_a_removed_token_is_refused_at_once(scene: Scene) -> None:
    assert (await scene.post(event()))[0] == 200
    scene.tokens.remove("relay")
    assert (await scene.post(event()))[0] == 401


async def test_a_damaged_file_of_tokens_is_for_later(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / "tokens.json").write_text("{")
    async with scene.posting(event()) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "30")


# Limits


async def test_a_body_above_the_limit_is_refused_however_it_is_sent(tmp_path: Path) -> None:
    async with listening(tmp_path, size_limit_bytes=2000) as scene:
        for body in (event() * 100, chunked(event(), 100)):
            status, answer = await scene.post(body)
            assert status == 413
            assert "2,000 bytes" in answer["error"]
        assert await scene.values(topics.DISPOSITIONS) == []
        assert (await scene.post(chunked(event(), 3)))[0] == 200


async def chunked(part: bytes, count: int, pause: float = 0) -> AsyncIterator[bytes]:
    for _ in range(count):
        yield part
        await asyncio.sleep(pause)


@pytest.mark.parametrize(
    "headers", [{"Content-Encoding": "gzip"}, {"Content-Type": "multipart/form-data; boundary=x"}], ids=str
)
async def test_a_packed_body_is_refused(scene: Scene, headers: dict[str, str]) -> None:
    assert (await scene.post(event(), headers=headers))[0] == 415


async def test_only_messages_may_be_posted(scene: Scene) -> None:
    url = scene.listener.url
    for method, address, status in (("GET", url, 405), ("PUT", url, 405), ("POST", url + "/", 404)):
        async with scene.session.request(method, address) as answer:
            assert answer.status == status
            assert "use POST /messages" in (await answer.json())["error"]


async def test_a_slow_sender_loses_its_place_and_nothing_of_it_is_stored(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(message_server, "BODY_SECONDS", 0.2)
    status, _ = await scene.post(chunked(event(), 1000, 0.02))
    assert status == 408
    assert (await scene.post(event()))[0] == 200
    assert len(await scene.values(topics.DISPOSITIONS)) == 1


async def test_a_sender_that_goes_away_leaves_nothing(scene: Scene) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield event()
        raise OSError("the line is cut")

    with pytest.raises((OSError, aiohttp.ClientError)):
        await scene.post(broken())
    assert (await scene.post(event(bill_of_lading="B2")))[0] == 200
    assert [one.bill_of_lading for one in await scene.values(topics.DISPOSITIONS)] == ["B2"]


# Pressure


async def test_one_sender_can_not_keep_out_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(message_server, "PLACE_SECONDS", 0.1)
    async with listening(tmp_path, concurrent_bodies=4) as scene:
        other, third = scene.add_token("other", "dispositions"), scene.add_token("third", "dispositions")
        endless = [asyncio.create_task(scene.post(chunked(event(), 500, 0.02))) for _ in range(2)]
        await places_taken(scene, 2)
        async with scene.posting(event()) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (429, "5")
        assert (await scene.post(event(), other))[0] == 200
        endless += [asyncio.create_task(scene.post(chunked(event(), 500, 0.02), other)) for _ in range(2)]
        await places_taken(scene, 4)
        async with scene.posting(event(), third) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
        for task in endless:
            task.cancel()
        await asyncio.gather(*endless, return_exceptions=True)
        await places_taken(scene, 0)
        assert (await scene.post(event(), third))[0] == 200


async def places_taken(scene: Scene, count: int) -> None:
    async with asyncio.timeout(10):
        while scene.listener.figures.bodies._value.get() != count:
            await asyncio.sleep(0.01)


async def test_a_large_body_under_way_does_not_hold_up_a_small_one(scene: Scene) -> None:
    large = b"".join(event(quantity=1 + n) for n in range(30_000))
    under_way = asyncio.create_task(scene.post(io.BytesIO(large)))
    await places_taken(scene, 1)
    while not await scene.values(topics.DISPOSITIONS):
        await asyncio.sleep(0.01)
    assert (await scene.post(event(bill_of_lading="SMALL")))[0] == 200
    assert not under_way.done()
    assert (await under_way)[0] == 200


@pytest.mark.parametrize("error", [TaskRetry("no broker answers"), OSError(28, "No space left on device")], ids=str)
async def test_a_log_that_takes_nothing_makes_senders_come_again(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    with monkeypatch.context() as failing:
        failing.setattr(scene.log, "append", raising(error))
        async with scene.posting(event()) as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "30")
            assert str(error) not in await answer.text()
    assert scene.listener.unready() == [str(error)]
    assert (await scene.post(event()))[0] == 200
    assert scene.listener.unready() == []


async def test_a_listener_that_failed_looks_for_the_log_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else nobody would send it the request that shows that the log is back."""
    monkeypatch.setattr("router.status.PROBE_SECONDS", 0.01)
    with monkeypatch.context() as failing:
        failing.setattr(scene.log, "append", raising(TaskRetry("no broker answers")))
        failing.setattr(scene.log, "end_offsets", raising(LogError("still none")))
        await scene.post(event())
        probing = asyncio.create_task(scene.listener.probe.keep_looking())
        await asyncio.sleep(0.1)
        assert scene.listener.unready() == ["still none"]
    await asyncio.sleep(0.1)
    assert scene.listener.unready() == []
    probing.cancel()


async def test_a_log_that_is_not_as_it_has_to_be_ends_the_listener(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scene.log, "append", raising(FatalLogError("no right")))
    assert (await scene.post(event()))[0] == 503
    with pytest.raises(FatalLogError, match="no right"):
        await scene.listener.failure


def raising(error: Exception) -> Any:
    async def fail(*_: object, **__: object) -> None:
        raise error

    return fail


async def test_an_append_that_fails_midway_is_completed_by_the_same_body(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"".join(event(quantity=1 + n) for n in range(3000))
    append, calls = scene.log.append, 0

    async def once(outputs: Sequence[Output], **options: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise TaskRetry("cut")
        await append(outputs, **options)

    monkeypatch.setattr(scene.log, "append", once)
    assert (await scene.post(body))[0] == 503
    stored = len(await scene.values(topics.DISPOSITIONS))
    assert 0 < stored < 3000
    assert (await scene.post(body))[0] == 200
    assert len({one.quantity for one in await scene.values(topics.DISPOSITIONS)}) == 3000


# Where it listens


async def test_tokens_do_not_cross_the_network_in_the_clear(tmp_path: Path, scene: Scene) -> None:
    with pytest.raises(UsageError, match="tls_certificate"):
        async with serve_listener(scene.log, Rules(), ListenSettings(), "0.0.0.0:0"):
            pass
    behind = ListenSettings(behind_proxy=True, tokens_file=tmp_path / "tokens.json")
    async with serve_listener(scene.log, Rules(), behind, "0.0.0.0:0") as listener:
        assert listener.url.startswith("http://0.0.0.0:")


async def test_it_speaks_tls_itself(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    certificate, key = tmp_path / "chain.pem", tmp_path / "key.pem"
    certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    trusted = ssl.create_default_context()
    authority.configure_trust(trusted)
    async with listening(tmp_path, tls_certificate=certificate, tls_key=key) as scene:
        assert scene.listener.url.startswith("https://")
        assert (await scene.post(event(), ssl=trusted))[0] == 200
    key.write_text("nothing")
    with pytest.raises(UsageError, match="certificate and key"):
        async with listening(tmp_path, tls_certificate=certificate, tls_key=key):
            pass


async def test_its_figures_name_no_bill_and_no_token(scene: Scene) -> None:
    await scene.post(event() + b"{}\n")
    await scene.post(b"")
    get = scene.listener.figures.registry.get_sample_value
    assert get("snp_listener_answers_total", {"status": "200"}) == 1
    assert get("snp_listener_answers_total", {"status": "400"}) == 1
    assert get("snp_listener_events_total") == 1
    assert get("snp_listener_dead_letters_total") == 1
