"""How many tokens a server is asked for at once: as many as pay, at the rate at which they are handed over."""

from functools import lru_cache

_REQUEST = 4.0  # what a request costs, in tokens of the server's: its way there and back, and a place in the queue
# The part of what is asked for and not read that is written all the same, where it is not known that the server stops
# at once when it is left.
_UNREAD = 0.03
_LONGEST = 256
# Before anything is known, one token in eight is handed over.
_PRIOR_THROWN, _PRIOR_DRAWN = 1, 8


def chunk_length(n_thrown: int, n_drawn: int, *, stops_when_left: bool) -> int:
    """How many tokens to ask for, after `n_drawn` of which `n_thrown` were handed over.

    A function of these alone, and of no clock, so that requests are the same whenever a run is repeated. A server that
    stops when it is left is asked for the longest chunk: what is not read is not written either.
    """
    return _LONGEST if stops_when_left else _best((n_thrown + _PRIOR_THROWN) / (n_drawn + _PRIOR_DRAWN))


@lru_cache(maxsize=4096)
def _best(rate: float) -> int:
    """The n with the least cost of a token that is used, if each is handed over with this probability.

    Of n tokens (1 - (1 - rate)^n) / rate are used, up to the first that is handed over.
    """
    best, least = 1, float("inf")
    for n in range(1, _LONGEST + 1):
        used = (1.0 - (1.0 - rate) ** n) / rate
        cost = (_REQUEST + used + _UNREAD * (n - used)) / used
        if cost < least:
            best, least = n, cost
    return best
