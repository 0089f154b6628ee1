"""Where an improvement stands in the register."""

from enum import StrEnum


class ImprovementState(StrEnum):
    """`proposed` by a review; then somebody decides. What was rejected may be accepted later, and is then both."""

    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
