"""Where an event goes on the log."""

from __future__ import annotations

from router import topics
from router.codec import decode_value
from router.engine.intake import addressed
from router.model.inputs import DeadLetter, Disposition, ManualEvent

HOLD = Disposition("OCN", "MB1", "1H", 0)
LETTER = DeadLetter("abc", "why", "FILE", "x12", b"", 0, "NVXA", "H1")


def calm(_: Disposition) -> bool:
    return False


def pressing(_: Disposition) -> bool:
    return True


def test_a_disposition_is_keyed_by_its_bill():
    (output,) = addressed(HOLD, calm)
    assert (output.topic, output.key) == (topics.DISPOSITIONS, b"OCN MB1")
    assert output.value is not None
    assert decode_value(output.value) == HOLD


def test_an_urgent_one_goes_past_the_backlog_first():
    assert [output.topic for output in addressed(HOLD, pressing)] == [topics.URGENT, topics.DISPOSITIONS]


def test_a_vessel_event_is_keyed_by_its_vessel():
    event = Disposition(None, None, "AAD", 0, imo_number="9074729", vessel_name="OCEAN EXEMPLAR")
    event = event._replace(carrier_scac="OCNX", voyage_number="026E")
    assert addressed(event, calm)[0].key == b"vessel:9074729:OCNX:026E"
    assert addressed(event._replace(imo_number=None), calm)[0].key == b"vessel:OCEAN EXEMPLAR:OCNX:026E"


def test_a_dead_letter_with_a_bill_stops_that_bill_at_once():
    outputs = addressed(LETTER, calm)
    assert [output.topic for output in outputs] == [topics.URGENT, topics.DISPOSITIONS]
    assert {output.key for output in outputs} == {b"NVXAH1"}


def test_a_dead_letter_without_a_bill_goes_to_the_operators():
    (output,) = addressed(LETTER._replace(scac=None, bill_of_lading=None), calm)
    assert (output.topic, output.key) == (topics.DEAD_LETTERS, b"abc")


def test_a_hold_relayed_by_hand_goes_past_the_backlog_and_nothing_else_said_by_hand_does():
    said = ManualEvent("OCN", "MB1", "m1", "PLACE", 0, "me", "phone", "6H")
    assert [output.topic for output in addressed(said, calm)] == [topics.URGENT, topics.DISPOSITIONS]
    for action in ("LIFT", "RELEASE"):
        (output,) = addressed(said._replace(action=action), pressing)
        assert (output.topic, output.key) == (topics.DISPOSITIONS, b"OCN MB1")
