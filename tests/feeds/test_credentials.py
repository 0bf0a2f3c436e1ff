"""No credential of a header is in a dead letter, however damaged the header is."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router.feeds.bounded_input import UnreadableInput
from router.feeds.credentials import masked
from router.feeds.formats import read_dead_letter, read_events
from router.model.inputs import DeadLetter
from tests.feeds import samples

CODE = "Q7ZK4W"
PASSWORDS = ("USERNAME77", "PASSWORD99")
CAMIR = samples.CAMIR_DO_NOT_LOAD.decode().replace("ACROCNX      RC", f"ACROCNX  {CODE}RC".replace("X  Q", "XQ"))
X12 = samples.X12_DO_NOT_LOAD.decode().replace("ISA*00*          *00*          ", "ISA*03*{}*01*{}".format(*PASSWORDS))
SECRETS = (CODE, *PASSWORDS)

FORMS: dict[str, Callable[[str], bytes]] = {
    "as sent": str.encode,
    "lower case": lambda text: text.lower().encode(),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "UTF-16 with its mark": lambda text: text.encode("utf-16"),
    "UTF-16 of the other order": lambda text: text.encode("utf-16-be"),
    "EBCDIC": lambda text: text.encode("cp037", "replace"),
    "tabs": lambda text: text.replace("*", "\t").replace("OCNX" + CODE, "OCNX\t" + CODE).encode(),
    "shifted": lambda text: (" " + text.replace("ACR", "ACR ")).encode(),
    "in JSON": lambda text: json.dumps({"payload": text}).encode(),
    "in a list in JSON": lambda text: json.dumps([text]).encode(),
    "in XML": lambda text: f"<message>{text}</message>".encode(),
    "in a mail": lambda text: f"Content-Type: text/plain\r\n\r\n{text}".encode(),
    "twice in one line": lambda text: text.split("\n")[0].encode() * 2 + text.encode(),
    "without its name": lambda text: text[1:].encode(),
    "without separators": lambda text: text.replace("03*U", "03 U").encode(),
    "a separator twice": lambda text: text.replace("03*U", "03**U").encode(),
    "below other text": lambda text: ("x" * 300 + text).encode(),
}


def shown(content: bytes) -> list[str]:
    """Everything that the dead letters of a file show, in each encoding, in upper case."""
    letters = [event for event in read_events([content], "FILE", 5) if isinstance(event, DeadLetter)]
    letters += [again for one in letters for again in read_dead_letter(one, 6) if isinstance(again, DeadLetter)]
    texts = [letter.content.decode(encoding) for letter in letters for encoding in ("latin-1", "cp037")]
    return [text.replace("\x00", "").upper() for text in (*texts, *(letter.reason for letter in letters))]


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("sample", [CAMIR, X12], ids=["CAMIR", "X12"])
def test_every_form_of_a_damaged_header_is_masked(sample: str, form: Callable[[str], bytes]):
    assert any(secret in sample for secret in SECRETS)
    for damaged in (sample, sample.replace("6H", "6?"), sample[:60], sample.replace("00009", "00019")):
        assert not [text for text in shown(form(damaged)) if any(secret in text for secret in SECRETS)]
        content = form(damaged)
        assert masked(masked(content)[0])[0] == masked(content)[0]


@pytest.mark.parametrize(
    "faults",
    [
        [("ACR", "CAR"), ("RC2607", "RC26?07")],
        [("ACR", "A?R"), ("RC2607", "RC207")],
        [("ACR", "CR"), ("RC26", "R 26")],
        [("ISA*", "ISX*"), ("*ZZ*", "*Z*")],
        [("ISA*", "IS*A"), ("*ZZ*CBP", "ZZ*CBP")],
        [("ISA*", "I?SA*"), ("*02*", "*0*2")],
        [("ISA*", ""), ("*ZZ*", "*?ZZ*")],
    ],
)
def test_a_header_with_two_faults_is_masked(faults: list[tuple[str, str]]) -> None:
    sample = CAMIR if "R" in faults[0][0] else X12
    for before, after in faults:
        assert before in sample
        sample = sample.replace(before, after, 1)
    assert not [text for text in shown(sample.encode()) if any(secret in text for secret in SECRETS)]


def test_the_last_places_of_a_cut_header_are_masked() -> None:
    start = CAMIR.index(CODE)
    for place in range(1, len(CODE)):
        content, _ = masked(CAMIR[start + place :].encode())
        assert content.startswith(b"X" * (len(CODE) - place) + b"RC")


@pytest.mark.parametrize(
    "text",
    [
        "R02MB26071408121H0000000120                 2607140812             1",
        "X4*MB2607140812*120***20260714*0812*1H**NVXA****2704**OB*OCNXMB2607140812*ET~",
        "ARKQ,HBL000012345,20260714,1H\nACNX,0012345678,1H,2026-07-14",
        '{"action_at": 17530000000, "carrier_scac": "ARCX", "scac": "ACRO"}',
    ],
)
def test_bills_of_events_are_kept(text: str) -> None:
    assert masked(text.encode()) == (text.encode(), frozenset())


def test_a_header_in_order_loses_only_its_credentials():
    content, found = masked(CAMIR.encode())
    assert content == CAMIR.replace(CODE, "XXXXXX").encode()
    assert found == {CODE}
    content, _ = masked(X12.encode())
    assert content == X12.replace(PASSWORDS[0], 10 * "X").replace(PASSWORDS[1], 10 * "X").encode()


@pytest.mark.parametrize("text", ["VISA NEEDED FOR DRIVERS", "STORED ACROSS PIER 14", "MASSACRE OF 120", "VISA: ASK"])
def test_other_text_is_kept(text: str):
    assert masked(text.encode()) == (text.encode(), frozenset())


@settings(max_examples=300, deadline=None)
@given(
    sample=st.sampled_from(
        [CAMIR, X12, CAMIR.replace("\n", "~"), "".join(line.ljust(80) for line in CAMIR.split("\n"))]
    ),
    code=st.from_regex(r"(?:[B-DF-HJ-NP-TV-Z][2-9]){3}", fullmatch=True),  # in no word
    place=st.integers(0, 140),
    length=st.integers(0, 40),
    put=st.sampled_from(["", " ", "*", "\n", "\x00", "?", "R02", "ISA*", "ACR", "X" * 9, "\u00e9", "~", "\t"]),
    form=st.sampled_from(["as sent", "as sent", "lower case", "UTF-16", "EBCDIC", "in JSON", "in XML"]),
)
def test_no_access_code_survives_damage(sample: str, code: str, place: int, length: int, put: str, form: str):
    words = (CODE, *PASSWORDS)
    secrets = (code, code + "7890", "45" + code + "67")
    for word, secret in zip(words, secrets, strict=True):
        sample = sample.replace(word, secret)
    damaged = sample[:place] + put + sample[place + length :]
    texts = shown(FORMS[form](damaged))
    assert not [text for text in texts if any(secret in text for secret in secrets)], damaged[:200]


def test_the_id_of_a_dead_letter_depends_on_no_credential():
    other = CAMIR.replace(CODE, "AAAAAA")
    first, second = (UnreadableInput(text.encode()).dead_letter("", "", "camir", 0) for text in (CAMIR, other))
    assert first.id == second.id
