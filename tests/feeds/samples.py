"""Invented interchanges in the real formats, and records in their published schemas.

SCACs, bills and entries belong to nobody.
"""

from __future__ import annotations

import json
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import fastavro

from router.model.inputs import (
    DeadLetter,
    Disposition,
    Filing,
    disposition_fields,
    disposition_of,
    filing_fields,
    filing_of,
)

SCHEMAS: Final = Path(__file__).parents[2] / "schemas"

X12_DO_NOT_LOAD = b"""\
ISA*00*          *00*          *ZZ*CBPTEST        *02*OCNX           *260714*1412*U*00605*000000101*0*P*>~
GS*SO*CBPTEST*OCNX*20260714*141205*101*X*006050~
ST*350*0001~
M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~
P4*2704*20260728~
X4*HBL000012345*120***20260714*0812*6H**NVXA****2704**OB*OCNXMB7781234*ET~
K1*CARGO DESCRIPTION VAGUE~
N9*SNP*OCNX~
N9*SNP*SLTC~
N7*CSQU*3054383~
SE*9*0001~
GE*1*101~
IEA*1*000000101~
"""

X12_HOLD_AND_RELEASE = b"""\
ISA*00*          *00*          *ZZ*CBPTEST        *02*OCNX           *260729*0930*U*00605*000000102*0*P*>~
GS*SO*CBPTEST*OCNX*20260729*093015*102*X*006050~
ST*350*0001~
M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~
P4*2704*20260728**Z999~
X4*HBL000012345*120*01*AB100045215*20260728*2214*1C**NVXA****2704*Z999*OB*OCNXMB7781234*ET~
N9*SNP*OCNX~
N7*CSQU*3054383~
X4*HBL000012345*120***20260729*0641*1H**NVXA****2704*Z999*OB*OCNXMB7781234*ET~
K1*CET INTENSIVE EXAM~
N9*SNP*OCNX~
N7*CSQU*3054383~
SE*11*0001~
ST*350*0002~
M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~
P4*2704*20260728**Z999~
X4*HBL000012345*120***20260729*0915*1I**NVXA****2704*Z999*OB*OCNXMB7781234*ET~
N9*SNP*OCNX~
N7*CSQU*3054383~
X4*HBL000012345*120*01*AB100045215*20260729*0916*1C**NVXA****2704*Z999*OB*OCNXMB7781234*ET~
N9*SNP*OCNX~
N7*CSQU*3054383~
SE*10*0002~
GE*2*102~
IEA*1*000000102~
"""

X12_NOMINATION_AND_ARRIVAL = b"""\
ISA*00*          *00*          *ZZ*CBPTEST        *02*OCNX           *260710*0400*U*00605*000000103*0*P*>~
GS*AU*CBPTEST*OCNX*20260710*040044*103*X*006050~
ST*350*0001~
M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~
P4*2704*20260728~
X4*HBL000012345*120***20260710*0359*69**NVXA******OB*OCNXMB7781234*ET~
N9*SNP*OCNX~
X4*HBL000012345*118***20260710*0400*56**NVXA******OB*OCNXMB7781234*ET~
N9*SNP*OCNX~
SE*8*0001~
ST*350*0002~
M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001***L~
P4*2704*20260728~
V9*AAD**20260728*0510*LOS ANGELES*CA*US******ET~
SE*5*0002~
GE*2*103~
IEA*1*000000103~
"""

CAMIR_DO_NOT_LOAD = b"""\
ACROCNX      RC26071414120500031
M01OCNX11PAOCEAN EXEMPLAR         026E      000001 9074729
R01OCNX2704OCEAN EXEMPLAR         026E 000001260728
J01NVXA
R02HBL0000123456H0000000120                 2607140812             1
R022704                              OB OCNXMB7781234
B04SNPOCNX
B04SNPSLTC
R03CARGO DESCRIPTION VAGUE
R05CSQU3054383   SEAL00917
ZCROCNX      RC                   00009
"""

CAMIR_REMOVED_AND_RELEASED = b"""\
ACROCNX      RC26072909301500032
M01OCNX11PAOCEAN EXEMPLAR         026E      000001 9074729
R01OCNX2704OCEAN EXEMPLAR         026E 000001260728
J01NVXA
R02HBL0000123451I0000000120                 2607290915             1
R022704Z999                          OB OCNXMB7781234
B04SNPOCNX
R05CSQU3054383
J01NVXA
R02HBL0000123451C000000012001AB100045215    2607290916             1
R022704Z999                          OB OCNXMB7781234
B04SNPOCNX
R05CSQU3054383
ZCROCNX      RC                   00012
"""

CAMIR_ARRIVAL = b"""\
ACROCNX      RC26072805120000033
M01OCNX11PAOCEAN EXEMPLAR         026E      000001 9074729
R01OCNX2704OCEAN EXEMPLAR         026E 000001260728
R06AAD2607280510
R03FIRST US PORT ARRIVAL
ZCROCNX      RC                   00004
"""

RECEIVED_AT = 1_784_100_000_000


def one_line(interchange: bytes) -> bytes:
    """The same without line breaks."""
    return interchange.replace(b"\n", b"")


def records(frame: bytes) -> list[bytes]:
    """The records of a CAMIR transmission at their full width."""
    return [record.ljust(80) for record in frame.splitlines()]


def published(record: Disposition | DeadLetter | Filing) -> bytes:
    """The record as its published schema writes it."""
    file = BytesIO()
    fields = {Disposition: disposition_fields, DeadLetter: DeadLetter._asdict, Filing: filing_fields}[type(record)]
    fastavro.schemaless_writer(file, schema(type(record)), fields(record))  # type: ignore[operator]
    return file.getvalue()


def read_published(kind: type, content: bytes) -> Disposition | DeadLetter | Filing:
    file = BytesIO(content)
    read: Any = fastavro.schemaless_reader(file, schema(kind), None)
    assert not file.read()
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in read.items()}
    if kind is Disposition:
        return disposition_of(fields)
    if kind is Filing:
        return filing_of(fields)
    return DeadLetter(**{name: value for name, value in fields.items() if name in DeadLetter._fields})


@cache
def schema(kind: type) -> Any:
    """Without logical types, so that times stay UTC milliseconds."""
    name = {Disposition: "disposition", DeadLetter: "dead-letter", Filing: "filing"}[kind]
    return fastavro.parse_schema(json.loads((SCHEMAS / f"{name}.avsc").read_text(), object_hook=_plain))


def _plain(part: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in part.items() if name != "logicalType"}


X12_MANIFEST = b"""\
ISA*00*          *00*          *02*OCNX           *ZZ*CBPTEST        *260701*0900*U*00401*000000201*0*P*>~
GS*SO*OCNX*CBPTEST*20260701*0900*201*X*004010~
ST*309*0001~
M10*OCNX*O*PA*9074729*OCEAN EXEMPLAR*026E*000001*3*W*L~
P4*2704*20260728*3~
LX*1~
M11*HBL000012345*57035*120*PKG*14404*K*46*X*30*SHANGHAI**NVXA~
N9*OB*OCNXMB7781234~
N9*SNP*OCNX~
N9*SNP*SLTC~
N1*SH*EXAMPLE TOYS LTD~
N3*12 HARBOUR ROAD~
N4*SHANGHAI***CN~
N1*CN*EXAMPLE IMPORTS INC~
N3*4950 NEW WORLD AVE~
N4*JACKSONVILLE*FL*32221*US~
M12*61*V1234567890*3901**25000**OCNX~
VID*4B*CSQU*3054383*SEAL00917*****45G1*L*CY~
N10*120*WOODEN TOYS*NO MARKS*J*950300*25000*K*14404~
N10**PAINTED~
LX*2~
M11*MB7781234*57035*300*PKG*28404*K***28*SHANGHAI**OCNX~
N1*SH*EXAMPLE FORWARDING LTD~
N1*CN*EXAMPLE LOGISTICS INC~
VID*4B*CSQU*3054383******45G1*L*CY~
N10*180*CONSOLIDATED CARGO~
VID*4B*MSKU*9070323******45G1*L*CY~
N10*120*CONSOLIDATED CARGO~
LX*3~
M11*EMPTY1*57035*1*UNT*3800*K***12*SHANGHAI**OCNX~
N1*SH*OCEAN EXAMPLE LINE~
N1*CN*OCEAN EXAMPLE LINE~
VID*4B*TCLU*9308287******45G1*E*CY~
N10*1*EMPTY CONTAINER~
SE*33*0001~
GE*1*201~
IEA*1*000000201~
"""

CAMIR_MANIFEST = b"""\
ACROCNXSECRETMI260701090000
M01OCNX11PAOCEAN EXEMPLAR         026E 00003000001 9074729
P012704072826
J01NVXA
B01HBL000012345570350000000120PKG  0000014404KGN
B02            SHANGHAI
B04OB OCNXMB7781234
B04SNPOCNX
N00SNPSLOT LINE CO                       2 SLTC
S01EXAMPLE TOYS LTD                   12 HARBOUR ROAD
U01EXAMPLE IMPORTS INC                4950 NEW WORLD AVE
I0161           OCNX3901     00025000            V1234567890
C01CSQU3054383   SEAL00917                     4B                     45G1LCY
D010000000120WOODEN TOYS
J01OCNX
B01MB7781234   570350000000300PKG  0000028404KGM
S01EXAMPLE FORWARDING LTD
C01CSQU3054383                                 4B                     45G1LCY
D010000000180CONSOLIDATED CARGO
C01MSKU9070323                                 4B                     45G1LCY
D010000000120CONSOLIDATED CARGO
B01EMPTY1      570350000000001UNT  0000003800KG2
C01TCLU9308287                                 4B                     45G1ECY
D010000000001EMPTY CONTAINER
ZCROCNX      MI                   00023
"""
