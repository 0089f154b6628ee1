"""Keeping a claim alive while its holder works, and noticing that the holder is to stop."""

import threading
import time
from datetime import timedelta

from flows.records.errors import ClaimLost, RecordsUnavailable
from flows.records.records import Records
from flows.records.rows import Claim
from flows.records.states import RequestState

LOOK_EVERY_SECONDS = 1.0


class ClaimUpkeep:
    """A thread that renews a claim until `end`.

    `stop` is set when the claim is lost, or when the request is not in `state` any more: somebody cancelled it, say.
    """

    def __init__(
        self, records: Records, claim: Claim, state: RequestState, ttl_seconds: float, stop: threading.Event
    ) -> None:
        self.stop = stop
        self._records = records
        self._claim = claim
        self._state = state
        self._ttl = timedelta(seconds=ttl_seconds)
        self._renewed = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="orderly-claim", daemon=True)
        self._thread.start()

    def look(self) -> None:
        """Set `stop` if the request is not in the state it was entered in."""
        request = self._records.read(lambda tx: tx.requests.get(self._claim.request_id))
        if request is None or request.state is not self._state:
            self.stop.set()

    def end(self) -> None:
        """Stop renewing; a claim that was not given back runs out by itself."""
        self._over.set()
        self._thread.join()

    def _keep(self) -> None:
        renew_every = self._ttl.total_seconds() / 3
        while not self._over.wait(min(renew_every, LOOK_EVERY_SECONDS)):
            try:
                if not self.stop.is_set():
                    self.look()
                if time.monotonic() - self._renewed >= renew_every:
                    self._records.run(lambda tx: tx.claims.renew(self._claim, self._ttl))
                    self._renewed = time.monotonic()
            except ClaimLost:
                self.stop.set()
                return
            except RecordsUnavailable:
                # The claim lives on for two more rounds, and every write checks it anyway.
                continue
