"""`Histogram`: how often the values of a tensor occur, counted in one pass."""

from __future__ import annotations

import math

import numpy as np

BINS = 1 << 12  # on either side of zero: at least 16 for a step of int8
SMALLEST = -100  # exponent of the narrowest bin, which float32 can still divide by


class Histogram:
    """Counts over a range that grows with the values, as no pass before says how large they are.

    The bins' width is a power of two. Where a value lies beyond the last bin, neighbours are
    merged until it does not: no count is ever moved by rounding. Zero is a border between bins,
    and exact zeros, half of what a ReLU gives, are counted apart: they are no error on any grid.

    Attributes:
        low, high: smallest and largest value so far.
        zeros: values that are exactly 0.
        total: values in all.
    """

    def __init__(self) -> None:
        self.low, self.high = math.inf, -math.inf
        self.zeros = self.total = 0
        self._counts = np.zeros(2 * BINS, np.int64)
        self._exponent = SMALLEST

    def add(self, values: np.ndarray) -> None:
        """Counts finite float values of any shape."""
        values = values.ravel()
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        while max(-self.low, self.high) >= math.ldexp(BINS, self._exponent):
            self._widen()
        places = np.floor(values * np.float32(math.ldexp(1.0, -self._exponent)))
        counts = np.bincount(places.astype(np.int32) + BINS, minlength=2 * BINS)
        zeros = int(values.size - np.count_nonzero(values))
        counts[BINS] -= zeros
        self._counts += counts
        self.zeros, self.total = self.zeros + zeros, self.total + values.size

    def _widen(self) -> None:
        if self.total == self.zeros:
            largest = max(-self.low, self.high)
            self._exponent = max(SMALLEST, math.frexp(largest / BINS)[1])
            return
        merged = self._counts.reshape(-1, 2).sum(1)
        self._counts[:] = 0
        self._counts[BINS // 2 : BINS // 2 + BINS] = merged
        self._exponent += 1

    def values(self) -> tuple[np.ndarray, np.ndarray]:
        """Middles of the bins that are not empty (float64, ascending) and their counts (int64).

        The zeros have an entry of their own.
        """
        places = np.flatnonzero(self._counts)
        middles = (places - BINS + 0.5) * math.ldexp(1.0, self._exponent)
        middles = np.clip(middles, self.low, self.high)
        counts = self._counts[places]
        if self.zeros:
            at = int(np.searchsorted(middles, 0.0))
            middles, counts = np.insert(middles, at, 0.0), np.insert(counts, at, self.zeros)
        return middles, counts

    def quantile(self, share: float) -> float:
        """The value that `share` (0..1) of all values do not exceed, to the width of a bin."""
        middles, counts = self.values()
        place = int(np.searchsorted(np.cumsum(counts), share * self.total))
        return float(middles[min(place, len(middles) - 1)])
