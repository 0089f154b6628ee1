"""Who acts where no person does, as audit events and touches name it."""

ORDERLY = "orderly"
"""What follows from a rule."""

KEEPER = "orderly-keeper"
"""What the keeper found and did."""
