"""Receipts: read from a party's webhook or its production group, or unknown with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from router.desk.receipts import (
    Receipt,
    Refusal,
    WebhookOrder,
    WebhookState,
    order_output,
    read_receipts,
    read_webhooks,
    state_output,
)
from router.engine.administration import import_parties, prepare
from router.log.interface import Output
from router.log.url import open_log
from router.model.registry_values import Party


async def test_a_receipt_comes_from_the_webhook_or_says_why_it_is_unknown(tmp_path: Path) -> None:
    refusal = Refusal(3, "n3", "NVXAB1", 1, 2, "answered 400")
    state = WebhookState("NVXA", taken_to=5, open=(1, 3), refused=(refusal,))
    order = WebhookOrder("NVXA", True, None, 7)
    url = "https://nvxa.example/"
    parties = [
        Party("NVXA", webhook_url=url), Party("NVXB", webhook_url=url), Party("SLTC", production_group="snp.SLTC.gate"),
        Party("HARX"),
    ]  # fmt: skip
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        await log.append([state_output(state._replace(taken_to=1, open=())), state_output(state), order_output(order)])
        assert await read_webhooks(log) == ({"NVXA": state}, {"NVXA": order})
        await import_parties(log, parties)
        await log.append([Output("snp.party.NVXA", b"NVXAB1", b"notice")] * 6)
        receipts = await read_receipts(log, parties)
    assert receipts == {
        "NVXA": Receipt(5, frozenset({1, 3})),
        "NVXB": Receipt(),
        "SLTC": Receipt(unknown="this log keeps no consumer groups"),
        "HARX": Receipt(unknown="no production_group and no webhook_url is registered"),
    }
    assert [receipts["NVXA"].has_read(offset) for offset in range(6)] == [True, False, True, False, True, False]
    assert receipts["NVXA"].begin == 1
    assert not receipts["HARX"].has_read(0)


@pytest.mark.parametrize("taken", [0, 1, 3, 4, 2**40])
async def test_a_webhook_is_not_believed_behind_the_end_of_its_topic(tmp_path: Path, taken: int) -> None:
    """Likewise after a topic was made again."""
    party = Party("NVXA", webhook_url="https://nvxa.example/")
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        await import_parties(log, [party])
        await log.append([Output(party.topic, b"NVXAB1", b"notice")] * 3)
        await log.append([state_output(WebhookState("NVXA", taken_to=taken))])
        receipt = (await read_receipts(log, [party]))["NVXA"]
    if taken <= 3:
        assert receipt == Receipt(taken)
    else:
        assert receipt.disbelieved == taken
        assert receipt.unknown == f"its webhook has offset {taken} as read, and snp.party.NVXA ends at 3"
        assert not receipt.has_read(0)


async def test_nothing_is_known_of_a_party_without_a_topic(tmp_path: Path) -> None:
    party = Party("NVXA", webhook_url="https://nvxa.example/")
    async with open_log(f"sqlite:///{tmp_path}/snp.db") as log:
        await prepare(log, 1)
        assert (await read_receipts(log, [party]))["NVXA"] == Receipt(unknown="there is no topic snp.party.NVXA")
