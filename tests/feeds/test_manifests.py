"""Manifests as filings: X12 309 and CAMIR MI, what is read of them, what is kept of them, and what damage takes."""

from __future__ import annotations

import re
from collections.abc import Callable
from random import Random
from time import monotonic

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.feeds.bounded_input import OtherMessage, ReadResult
from router.feeds.credentials import masked
from router.feeds.formats import read_dead_letter, read_events
from router.feeds.tables import read_filings
from router.model.inputs import DeadLetter, Disposition, Filing, Shipment
from router.model.party_ids import named_party
from tests.checking.samples import BOX, IMO, MASTER, OTHER_BOX
from tests.feeds.samples import CAMIR_DO_NOT_LOAD, CAMIR_MANIFEST, X12_MANIFEST

X4 = b"X4*HBL000012345*120***20260714*0812*6H**NVXA****2704**OB*OCNXMB7781234*ET~"
HOUSE, MASTER_BILL, EMPTY = "HBL000012345", "MB7781234", "EMPTY1"
_D01 = b"D010000000120WOODEN TOYS\n"
NEVER_KEPT = re.compile(
    rb"TOYS|HARBOUR|SHANGHAI|IMPORTS|NEW WORLD|JACKSONVILLE|WOODEN|PAINTED|FORWARDING|LOGISTICS|CONSOLIDATED|SLOT LINE"
    rb"|OCEAN EXAMPLE|SECRET",
    re.IGNORECASE,
)
MANIFESTS = pytest.mark.parametrize("manifest", [X12_MANIFEST, CAMIR_MANIFEST], ids=["309", "MI"])


def read(manifest: bytes) -> list[ReadResult]:
    return list(read_events([manifest], "f", 5))


def filings(manifest: bytes) -> dict[str, Filing]:
    found = read(manifest)
    assert all(isinstance(one, Filing) for one in found), found
    return {one.bill_of_lading: one for one in found if isinstance(one, Filing)}


def recounted(manifest: bytes) -> bytes:
    """With the counts of its trailers made right."""
    text = manifest.decode()
    if text.startswith("ISA"):
        count = text[text.index("ST*309") : text.index("SE*")].count("~") + 1
        return re.sub(r"SE\*\d+", f"SE*{count}", text).encode()
    return re.sub(r"(ZCR.{31})\d{5}", rf"\g<1>{len(text.splitlines()) - 2:05}", text).encode()


def changed(manifest: bytes, old: str, new: str) -> bytes:
    assert manifest.count(old.encode()) >= 1
    return recounted(manifest.replace(old.encode(), new.encode(), 1))


# Reading


@MANIFESTS
def test_a_bill_with_all_that_is_read(manifest: bytes) -> None:
    filed = filings(manifest)[HOUSE]
    shipment = Shipment("OCNX", IMO, "OCEAN EXEMPLAR", "026E", "000001", "2704", "2026-07-28", "3901", MASTER, None)
    assert filed.shipment == shipment.with_containers((BOX,))
    assert (filed.scac, filed.manifested_quantity, filed.received_at) == ("NVXA", 120, 5)
    assert [named_party(snp).id for snp in filed.snps] == ["OCNX", "SLTC"]
    assert filed.declared_in == "ORIGINAL"
    assert filed.source in ("f:interchange 000000201:transaction 0001:segment 4", "f:record 5")


def test_types_and_containers_of_all_bills() -> None:
    x12, camir = filings(X12_MANIFEST), filings(CAMIR_MANIFEST)
    assert {bill: one.bill_type for bill, one in x12.items()} == {HOUSE: "30", MASTER_BILL: "28", EMPTY: "12"}
    assert {bill: one.bill_type for bill, one in camir.items()} == {HOUSE: "N", MASTER_BILL: "M", EMPTY: "2"}
    for read_ in (x12, camir):
        assert read_[MASTER_BILL].shipment.container_numbers == (BOX, OTHER_BOX)
        assert read_[MASTER_BILL].scac == "OCNX"


def test_one_filing_reads_the_same_from_309_mi_and_a_table() -> None:
    table = (
        "scac,bill_of_lading,bill_type,snps,master_bill,carrier_scac,imo_number,vessel_name,voyage_number,"
        "manifest_sequence_number,port_of_unlading,arrival_date,in_bond_destination,manifested_quantity,"
        f"container_numbers\nNVXA,{HOUSE},30,OCNX;2:SLTC,{MASTER},OCNX,{IMO},Ocean Exemplar,026E,000001,2704,"
        f"2026-07-28,3901,120,{BOX}\n"
    )
    (tabled,) = read_filings([table.encode()], "f", 5)
    assert isinstance(tabled, Filing)

    def same(filed: Filing) -> Filing:
        parties = tuple(named_party(snp).text for snp in filed.snps)
        return filed._replace(source=None, declared_in="TABLE", bill_type="house", snps=parties)

    assert same(filings(X12_MANIFEST)[HOUSE]) == same(filings(CAMIR_MANIFEST)[HOUSE]) == same(tabled)


def test_a_split_names_its_original() -> None:
    x12 = filings(changed(X12_MANIFEST, "N9*OB*OCNXMB7781234", "N9*OL*NVXAHBL9"))[HOUSE]
    camir = filings(changed(CAMIR_MANIFEST, "B04OB OCNXMB7781234", "B04OL NVXAHBL9     "))[HOUSE]
    for filed in (x12, camir):
        assert (filed.shipment.original_bill, filed.shipment.master_bill) == ("NVXAHBL9", None)


def test_scacs_whose_meaning_is_not_sure_name_no_party() -> None:
    assert filings(changed(X12_MANIFEST, "**NVXA~", "**NVXA**THRD*THRD~"))[HOUSE].snps == ("OCNX", "SLTC")
    named = "B02".ljust(15) + "SHANGHAI"
    assert filings(changed(CAMIR_MANIFEST, named, named.ljust(44) + "THRD"))[HOUSE].snps == ("OCNX", "2:SLTC")


def test_a_vessel_code_is_an_imo_number_under_its_qualifier_only() -> None:
    assert filings(changed(X12_MANIFEST, "*W*L~", "*W*C~"))[HOUSE].shipment.imo_number is None


@pytest.mark.parametrize("kind", ["X", "Y", "V"])
def test_other_types_of_manifest_are_amendments(kind: str) -> None:
    assert filings(changed(X12_MANIFEST, "*W*L~", f"*{kind}*L~"))[HOUSE].declared_in == "AMENDMENT"


@pytest.mark.parametrize("kind", ["E", "A", "Z"])
def test_exports_and_copies_are_counted_and_not_read(kind: str) -> None:
    (other,) = read(changed(X12_MANIFEST, "*W*L~", f"*{kind}*L~"))
    assert isinstance(other, OtherMessage)
    assert other.name == f"309 of type {kind}"


def test_an_added_bill_is_an_amendment_and_a_deleted_one_nothing() -> None:
    for action, results in (("A", Filing), ("D", OtherMessage), ("R", OtherMessage)):
        m13 = f"LX*1~\nM13*OCNX*2704*{action}*{HOUSE}*100*01***NVXA~"
        first = read(changed(changed(X12_MANIFEST, "*W*L~", "*Y*L~"), "LX*1~", m13))[0]
        assert isinstance(first, results)
        a01 = f"J01NVXA\nA01NVXA2704{action}{HOUSE}000000010001\n"
        camir = changed(CAMIR_MANIFEST.replace(b"SECRETMI", b"SECRETAI"), "J01NVXA\n", a01)
        first = read(camir)[0]
        assert isinstance(first, results)
        if isinstance(first, Filing):
            assert first.declared_in == "AMENDMENT"


def test_006050_and_its_functional_group() -> None:
    text = X12_MANIFEST.replace(b"GS*SO", b"GS*AQ").replace(b"X*004010", b"X*006050").replace(b"*00401*", b"*00605*")
    assert set(filings(text)) == {HOUSE, MASTER_BILL, EMPTY}


# Damage


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("*120*PKG", "*12O*PKG"),
        ("*PKG*14404", "*PKG*14404*K*1*X*3*2*1*0*9*8*7*6*5*4*3*2*1*1"),
        (f"M11*{HOUSE}", "M11*HBL-00012345"),
        ("**NVXA~", "**NV1A~"),
        ("N9*OB*OCNXMB7781234", "N9*OB*OCNX"),
        ("N9*SNP*SLTC", "N9*SNP*S-TC"),
        ("VID*4B*CSQU*3054383*", "VID*4B*CSQU*3054384*"),
        ("M12*61*V1234567890*3901", "M12*61*V1234567890*39O1"),
        ("N9*OB*", "N!*OB*"),
        ("N1*SH*EXAMPLE TOYS", "N3*SH*EXAMPLE TOYS"),
    ],
)
def test_nothing_is_taken_from_a_damaged_bill(old: str, new: str) -> None:
    letter, *others = read(changed(X12_MANIFEST, old, new))
    assert isinstance(letter, DeadLetter)
    assert letter.reason.endswith("; nothing was taken from it")
    assert (letter.scac, letter.bill_of_lading) == (None, None)
    assert [one.bill_of_lading for one in others if isinstance(one, Filing)] == [MASTER_BILL, EMPTY]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("0000000120PKG", "00000001O0PKG"),
        (f"B01{HOUSE}", "B01HBL-00012345"),
        ("B04OB OCNXMB7781234", "B04OB OCNX         "),
        (f"{'N00SNPSLOT LINE CO':<41}2 SLTC", f"{'N00SNPSLOT LINE CO':<41}2 S-TC"),
        ("C01CSQU3054383", "C01CSQU3054384"),
        ("OCNX3901", "OCNX39O1"),
    ],
)
def test_nor_from_a_damaged_bill_of_camir(old: str, new: str) -> None:
    found = read(changed(CAMIR_MANIFEST, old, new))
    assert isinstance(found[0], DeadLetter)
    assert found[0].reason.endswith("; nothing was taken from it")
    assert {one.bill_of_lading for one in found if isinstance(one, Filing)} == {MASTER_BILL, EMPTY}


def test_a_record_that_may_be_a_j01_ends_the_issuer() -> None:
    for name in ("J0l", "D01", "C01", "X01"):
        found = read(changed(CAMIR_MANIFEST, "J01OCNX", f"{name}OCNX"))
        assert not [one for one in found if isinstance(one, Filing)], name


@MANIFESTS
def test_a_manifest_with_wrong_counts_is_one_dead_letter_until_accepted(manifest: bytes) -> None:
    wrong = manifest.replace(b"SE*33", b"SE*34").replace(b"00023", b"00024")
    (letter,) = read(wrong)
    assert isinstance(letter, DeadLetter)
    assert letter.in_doubt
    (again,) = read_dead_letter(letter, 9)
    assert isinstance(again, DeadLetter)
    assert again.id == letter.id
    accepted = list(read_dead_letter(letter, 9, accepted=True))
    assert {one.bill_of_lading for one in accepted if isinstance(one, Filing)} == {HOUSE, MASTER_BILL, EMPTY}


def test_a_loaded_container_is_no_empty_bills() -> None:
    for manifest, old, new in (
        (X12_MANIFEST, "45G1*E*CY", "45G1*L*CY"),
        (CAMIR_MANIFEST, "45G1ECY", "45G1LCY"),
    ):
        (letter,) = (one for one in read(changed(manifest, old, new)) if isinstance(one, DeadLetter))
        assert "the bill has the type empty, but a container is not empty" in letter.reason


def test_stops_that_run_into_a_manifest_count_and_the_manifest_does_not() -> None:
    status = CAMIR_DO_NOT_LOAD.partition(b"\n")[2]
    found = read(CAMIR_MANIFEST[: CAMIR_MANIFEST.index(b"ZCR")] + status)
    (stop,) = (one for one in found if isinstance(one, Disposition))
    assert (stop.disposition_code, stop.bill_of_lading) == ("6H", HOUSE)
    (stop,) = (one for one in read(X12_MANIFEST.replace(b"LX*2~", X4 + b"LX*2~")) if isinstance(one, Disposition))
    assert (stop.disposition_code, stop.bill_of_lading) == ("6H", HOUSE)


# One edit

Edit = Callable[[list[str], Random], list[str] | None]


def dropped(pieces: list[str], random: Random) -> list[str]:
    place = random.randrange(len(pieces))
    return pieces[:place] + pieces[place + 1 :]


def doubled(pieces: list[str], random: Random) -> list[str]:
    place = random.randrange(len(pieces))
    return [*pieces[: place + 1], *pieces[place:]]


def swapped(pieces: list[str], random: Random) -> list[str]:
    place = random.randrange(len(pieces) - 1)
    return [*pieces[:place], pieces[place + 1], pieces[place], *pieces[place + 2 :]]


def glued(pieces: list[str], random: Random) -> list[str]:
    place = random.randrange(len(pieces) - 1)
    return [*pieces[:place], pieces[place] + pieces[place + 1], *pieces[place + 2 :]]


def broken(pieces: list[str], random: Random) -> list[str]:
    place = random.randrange(len(pieces))
    at = random.randrange(1, len(pieces[place]))
    return [*pieces[:place], pieces[place][:at], pieces[place][at:], *pieces[place + 1 :]]


def cut(pieces: list[str], random: Random) -> list[str]:
    place = random.randrange(len(pieces) - 1)
    return [*pieces[:place], pieces[place][: random.randrange(1, len(pieces[place]))]]


def recased(pieces: list[str], random: Random) -> list[str]:
    place = random.randrange(len(pieces))
    return [*pieces[:place], pieces[place][:3].lower() + pieces[place][3:], *pieces[place + 1 :]]


def renamed(pieces: list[str], random: Random) -> list[str]:
    place, at = random.randrange(len(pieces)), random.randrange(2)
    piece = pieces[place]
    return [*pieces[:place], piece[:at] + "Q" + piece[at + 1 :], *pieces[place + 1 :]]


def garbled(pieces: list[str], random: Random) -> list[str]:
    place = random.randrange(len(pieces))
    piece = pieces[place]
    at = random.randrange(len(piece))
    return [*pieces[:place], piece[:at] + random.choice("!^?_;\x07") + piece[at + 1 :], *pieces[place + 1 :]]


EDITS: tuple[Edit, ...] = (dropped, doubled, swapped, glued, broken, cut, recased, renamed, garbled)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(EDITS), st.sampled_from((X12_MANIFEST, CAMIR_MANIFEST)), st.randoms(use_true_random=False))
def test_one_edit_adds_no_party_no_bill_and_frees_nothing_more(edit: Edit, manifest: bytes, random: Random) -> None:
    end = "~\n" if manifest is X12_MANIFEST else "\n"
    pieces = manifest.decode().removesuffix(end).split(end)
    damaged = edit(pieces, random)
    assert damaged is not None
    whole = filings(manifest)
    for one in read((end.join(damaged) + end).encode()):
        if isinstance(one, Filing):
            known = whole[one.bill_of_lading]
            assert one.scac == known.scac
            assert set(one.snps) <= set(known.snps)
            assert one.shipment.master_bill in (known.shipment.master_bill, None)
            assert one.manifested_quantity == known.manifested_quantity
            assert set(one.shipment.container_numbers) == set(known.shipment.container_numbers)
            assert one.bill_type in (known.bill_type, None)
        elif isinstance(one, DeadLetter):
            assert (one.scac, one.bill_of_lading) == (None, None)
            if edit not in (broken, cut):
                assert not NEVER_KEPT.search(one.content), one.content
            assert not NEVER_KEPT.search(one.reason.encode())


# What is kept


@MANIFESTS
def test_dead_letters_keep_of_other_segments_their_names_and_lengths(manifest: bytes) -> None:
    (letter,) = read(manifest.replace(b"SE*33", b"SE*34").replace(b"00023", b"00024"))
    assert isinstance(letter, DeadLetter)
    assert letter.content_size == len(letter.content)
    assert not NEVER_KEPT.search(letter.content)
    assert letter.content.count(b"N1*") == manifest.count(b"N1*")
    for kept in (HOUSE, MASTER_BILL, "OCEAN EXEMPLAR", "SLTC", "9074729"):
        assert kept.encode() in letter.content


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-16-be"])
@MANIFESTS
def test_nor_is_anything_kept_in_another_encoding_or_without_its_beginning(manifest: bytes, encoding: str) -> None:
    text = manifest.decode()
    for damaged in (text, text[9:], text.replace("ST*309", "ST*30Q"), text.replace("ISA*", "ISX*")):
        for one in read(damaged.encode(encoding)):
            if isinstance(one, DeadLetter):
                assert not NEVER_KEPT.search(one.content.replace(b"\x00", b"")), one.content


# Effort


@pytest.mark.parametrize(
    "content",
    [b"J01" * 60_000, b"*S01" * 50_000, b"N10*" + b"\n" * 100_000, b"N10*" + b"* " * 100_000, b"ST*309*1~" * 20_000],
    ids=["headers", "records", "line breaks", "elements", "sets"],
)
def test_the_effort_of_masks_grows_with_the_length_alone(content: bytes) -> None:
    began = monotonic()
    masked(content)
    assert monotonic() - began < 20, "a square of the length took minutes"


@MANIFESTS
def test_the_effort_of_a_bill_grows_with_its_length_alone(manifest: bytes) -> None:
    began = monotonic()
    filings(recounted(manifest.replace(b"N10**PAINTED~\n", 10_000 * b"N10**PAINTED~\n").replace(_D01, 10_000 * _D01)))
    assert monotonic() - began < 20


@pytest.mark.parametrize("character", ["\x00", "\x1a", "\x0b", "\xa0", "\xef", "\xbf"])
@pytest.mark.parametrize(
    "text", ["M11*HBL000012345", "N9*SNP*OCNX", "N9*SNP*SLTC", "OCNXMB7781234", "*57035*120", "**NVXA"]
)
def test_a_filler_in_place_of_a_character_is_no_padding(text: str, character: str) -> None:
    damaged = X12_MANIFEST.replace(text.encode(), f"{text[:-1]}{character}".encode("latin-1"), 1)
    bills = [one.bill_of_lading for one in read(damaged) if isinstance(one, Filing)]
    assert bills == [MASTER_BILL, EMPTY]


def test_fillers_between_segments_are_passed_over() -> None:
    assert filings(X12_MANIFEST.replace(b"~\n", b"~\x00\n\xa0")).keys() == {HOUSE, MASTER_BILL, EMPTY}
