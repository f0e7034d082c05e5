"""Forms of a model other than the one that training writes, each of an architecture of `cases`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from cases import CASES, PUBLISHED, Case
from covering import Row
from references import References, job, made_by_peer

DOUBLE: Row = {"file": "float64", "heads": "2"}
"""Options of a file that is compared in float64."""
SMALL: Row = {"max_ell": 2, "hidden_lmax": 1}
"""Options with which cuequivariance makes its polynomials in seconds."""
FORMS = ("lora", "last layer", "cueq ir_mul", "cueq mul_ir", "cueq fused", "cueq lora")
"""What `peer/write_variants.py` knows."""


@dataclass(frozen=True)
class Variant:
    """A form of the model of a case."""

    form: str
    case: Case


def _variants() -> dict[str, Variant]:
    chosen = {
        "lora": ("mh1", "omol", "mp0", "omat"),
        "last layer": ("mh1", "omat"),
        "cueq ir_mul": ("mh1", "omol", "omat"),
        "cueq mul_ir": ("mp0",),
        "cueq fused": ("mh1",),
        "cueq lora": ("mh1",),
    }
    found = {}
    for form, names in chosen.items():
        for name in names:
            options = PUBLISHED[name] | DOUBLE | (SMALL if "cueq" in form else {})
            found[f"{form} {name}"] = Variant(form, Case(CASES[name].seed, options))
    reduced = PUBLISHED["mh1"] | DOUBLE | SMALL | {"coupling_basis": "reduced"}
    found["cueq ir_mul reduced"] = Variant("cueq ir_mul", Case(7, reduced))
    for form in ("lora", "cueq ir_mul"):
        found[f"{form} float32"] = Variant(form, Case(8, PUBLISHED["mh1"] | SMALL))
    return {name.replace(" ", "_"): variant for name, variant in found.items()}


VARIANTS = _variants()


@lru_cache
def variant_references() -> References:
    """Files and numbers of all variants; made now where the cache does not have them."""
    cases = {name: variant.case for name, variant in VARIANTS.items()}
    forms = {name: variant.form for name, variant in VARIANTS.items()}
    return References(made_by_peer("write_variants.py", job(cases, forms=forms)))
