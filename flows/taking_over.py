"""What whoever takes a claim on a request does first with what the holder before left open."""

from flows.records.records import Transaction


def settle_what_was_left(tx: Transaction, request_id: str, epoch: int) -> None:
    """Have effects without an outcome count as unknown, and attempts without an answer as ended. Raises ClaimLost."""
    tx.effects.mark_open_unknown(request_id, epoch)
    tx.steps.abandon_attempts(request_id, epoch, "its process ended before it had an answer")
