"""What the chapters claim, measured over several seeds: stored once, read by chapters, rendered as CLAIMS.md."""

from embedcourse.claims.claim import Claim
from embedcourse.claims.report import claims_table
from embedcourse.claims.results import stored

__all__ = ["Claim", "claims_table", "stored"]
