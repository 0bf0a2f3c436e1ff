"""Any one change, removal, insertion or swap of chained entries is found; a start cut by retention is none."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from router import topics
from router.desk.chain_check import ChainCheck, Checkpoint, Fault
from router.log.interface import Output, Record
from router.task.chains import LINK_HEADER, ChainHead, Chains, Link, digest_of

KEYS = (b"NVXAB1", b"NVXAB2", b"SLTCB3")
chains = st.lists(st.tuples(st.sampled_from(KEYS), st.binary(max_size=4)), min_size=1, max_size=24)


def chained(contents: Sequence[tuple[bytes, bytes]]) -> tuple[list[Record], ChainHead]:
    """The records as task 0 writes them, in transactions of three, some of them abandoned first."""
    chain = Chains()
    outputs: list[Output] = []
    for begin in range(0, len(contents), 3):
        written = [Output(topics.TIMELINE, *content) for content in contents[begin : begin + 3]]
        list(chain.link(written[:1]))
        chain.abandon()
        outputs += chain.link(written)
        chain.commit()
    return [record_of(output) for output in outputs], chain.heads[topics.TIMELINE]


def record_of(output: Output) -> Record:
    return Record(output.topic, 0, 0, output.key, output.value, output.headers, 0)


def faults(
    records: Sequence[Record],
    head: ChainHead | None,
    *checkpoints: Checkpoint,
    cut: int | None = None,
    keeps_all: bool = False,
) -> list[Fault]:
    by_number: dict[int, list[Checkpoint]] = {}
    for one in checkpoints:
        by_number.setdefault(one.number, []).append(one)
    check = ChainCheck(by_number, keeps_all=keeps_all)
    for offset, record in enumerate(records):
        check.add(record._replace(offset=offset), offset)
    check.end(head)
    if cut is not None and records:
        assert check.first == cut + 1
    return check.faults


@given(chains, st.data())
def test_a_chain_is_whole_wherever_its_start_is_cut(contents: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    records, head = chained(contents)
    cut = data.draw(st.integers(0, len(records) - 1))
    assert faults(records[cut:], head, cut=cut) == []


@given(chains, st.data())
def test_a_start_that_is_gone_from_a_topic_that_keeps_all_is_missing(
    contents: list[tuple[bytes, bytes]], data: st.DataObject
) -> None:
    records, head = chained(contents)
    cut = data.draw(st.integers(0, len(records)))
    found = faults(records[cut:], head, keeps_all=True)
    assert [(one.kind, one.number, one.until) for one in found] == ([("missing", 1, cut)] if cut else [])


@given(chains, st.data())
def test_any_changed_entry_is_found_and_named(contents: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    records, head = chained(contents)
    at = data.draw(st.integers(0, len(records) - 1))
    other = data.draw(st.tuples(st.sampled_from(KEYS), st.binary(max_size=5)).filter(lambda one: one != contents[at]))
    records[at] = records[at]._replace(key=other[0], value=other[1])
    (found,) = faults(records, head)
    assert (found.kind, found.number, found.place) == ("changed", at + 1, f"snp.timeline, partition 0, offset {at}")


@given(chains, st.data())
def test_any_changed_link_is_found(contents: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    records, head = chained(contents)
    at = data.draw(st.integers(0, len(records) - 1))
    old = records[at].headers[0][1]
    new = data.draw(
        st.one_of(
            st.just(b""),
            st.binary(min_size=len(old), max_size=len(old)),
            st.integers(0, len(records) + 2).map(lambda number: Link(number, old[8:]).packed()),
        ).filter(lambda value: value != old)
    )
    records[at] = records[at]._replace(headers=((LINK_HEADER, new),) if new else ())
    assert faults(records, head)


@given(chains, st.data())
def test_removed_entries_are_found_and_named(contents: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    """Also the last ones, which the head in the position shows; not the first ones, which retention may have cut."""
    records, head = chained([(b"K", b"the first"), *contents])
    begin = data.draw(st.integers(1, len(records) - 1))
    end = data.draw(st.integers(begin + 1, len(records)))
    (found,) = faults(records[:begin] + records[end:], head)
    assert (found.kind, found.number, found.until) == ("missing", begin + 1, end)


@given(chains, st.sampled_from(["stranger", "copy", "next", "fork"]), st.data())
def test_an_inserted_entry_is_found_at_its_place(
    contents: list[tuple[bytes, bytes]], kind: str, data: st.DataObject
) -> None:
    """By a stock producer, without a link or with a copied one; by one that knows how the chain is made."""
    records, head = chained(contents)
    at = data.draw(st.integers(1, len(records)))
    before = records[at - 1]
    if kind == "copy":
        entry = data.draw(st.sampled_from(records))
    elif kind == "stranger":
        entry = before._replace(headers=(), value=b"not ours")
    else:
        link = Link(at, before.headers[0][1][8:])
        previous = digest_of(link, before.key, before.value) if kind == "next" else bytes(32)
        entry = before._replace(headers=((LINK_HEADER, Link(at + 1, previous).packed()),), value=b"not ours")
    found = faults([*records[:at], entry, *records[at:]], head)
    assert found
    if kind in ("stranger", "next") and at < len(records):
        assert [one.place for one in found] == [f"snp.timeline, partition 0, offset {at}"]


@given(chains, st.data())
def test_any_two_swapped_entries_are_found(contents: list[tuple[bytes, bytes]], data: st.DataObject) -> None:
    records, head = chained([*contents, (b"K", b"one more")])
    one, other = sorted(data.draw(st.lists(st.integers(0, len(records) - 1), min_size=2, max_size=2, unique=True)))
    records[one], records[other] = records[other], records[one]
    assert faults(records, head)


@given(chains, chains)
def test_a_chain_written_anew_with_its_head_is_found_by_an_exported_head(
    contents: list[tuple[bytes, bytes]], others: list[tuple[bytes, bytes]]
) -> None:
    _, old = chained(contents)
    records, head = chained([(b"K", b"another beginning"), *others])
    assert faults(records, head) == []
    assert faults(records, head, Checkpoint(old.number, old.digest, "yesterday"))
    kept, known = chained([*contents, *others])
    assert faults(kept, known, Checkpoint(old.number, old.digest, "yesterday")) == []
    cut = min(old.number, len(kept) - 1)
    assert faults(kept[cut:], known, Checkpoint(cut, old.digest, "yesterday")) == [] or cut != old.number


def test_a_lost_position_is_no_proof() -> None:
    records, _ = chained([(b"K", b"one")])
    assert [one.kind for one in faults(records, None)] == ["head differs"]
    assert faults([], None) == []
