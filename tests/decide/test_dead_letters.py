"""Dead letters made by decisions."""

from __future__ import annotations

import json

from router.decide.dead_letters import failed_decision_letter
from router.errors import InputError
from router.model.inputs import PaperBill, filing_of


def test_a_failed_record_that_is_no_event_is_kept_as_json() -> None:
    filing = filing_of({"scac": "NVXA", "bill_of_lading": "HBL1", "container_numbers": ["CSQU3054383"]})
    letter = failed_decision_letter(PaperBill(filing, 60_000, "EMAIL", "J. Doe"), InputError("too many"))
    assert (letter.reason, letter.scac, letter.bill_of_lading) == ("too many", "NVXA", "HBL1")
    assert json.loads(letter.content) == {
        "filing": {
            "scac": "NVXA",
            "bill_of_lading": "HBL1",
            "shipment": {"container_numbers": ["CSQU3054383"]},
            "declared_in": "TABLE",
        },
        "delivered_at": 60_000,
        "form": "EMAIL",
        "by": "J. Doe",
    }
