"""The values that feeds and operators append."""

from __future__ import annotations

from typing import Any

from router.model.inputs import (
    Disposition,
    Filing,
    Shipment,
    disposition_fields,
    disposition_of,
    filing_fields,
    filing_of,
)

EVERYTHING = Shipment(**{name: name.upper() for name in Shipment._fields} | {"container_numbers": ("CSQU3054383",)})
"""Each field filled, also one that is added later."""


def test_a_shipment_of_another_bill_or_box_keeps_all_the_rest() -> None:
    changes: dict[str, Any] = {"master_bill": "SLTCM1", "original_bill": None, "in_bond_destination": "3901"}
    changes |= {"container_numbers": ("CSQU3000010",)}
    assert EVERYTHING.of_bill(**changes) == EVERYTHING._replace(**changes)
    assert EVERYTHING.with_containers(()) == EVERYTHING._replace(container_numbers=())


def test_the_flat_form_of_an_event_loses_nothing() -> None:
    event = Disposition("NVXA", "HBL1", "1H", 1, snps=("SLTC",), shipment=EVERYTHING)
    of_a_box = event._replace(container_numbers=("CSQU3000010",))
    assert [disposition_of(disposition_fields(one)) for one in (event, of_a_box)] == [event, of_a_box]
    filing = Filing("NVXA", "HBL1", snps=("SLTC",), shipment=EVERYTHING)
    assert filing_of(filing_fields(filing)) == filing
