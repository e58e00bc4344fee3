"""How often something over a network is tried, and which refusals may be gone the next time."""

import dataclasses
import errno
import time

AGAIN = (408, 425, 429, 500, 502, 503, 504)  # HTTP's answers that may be others at the next try
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)  # of a disk


@dataclasses.dataclass(frozen=True)
class Patience:
    """How long to wait and how often to try.

    Args:
        timeout: seconds without a byte before the connection counts as lost.
        tries: attempts in a row that bring nothing new before giving up.
        wait: seconds before the second try; doubled each time, at most 60.
    """

    timeout: float = 30.0
    tries: int = 5
    wait: float = 1.0

    def pause(self, failures: int) -> None:
        """Waits after so many failures in a row."""
        time.sleep(min(60.0, self.wait * 2 ** max(0, failures - 1)))
