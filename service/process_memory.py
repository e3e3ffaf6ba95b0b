"""How the C library keeps the memory that pictures come and go in."""

import ctypes

_M_ARENA_MAX = -8  # malloc.h of the GNU C library
_ARENAS = 2


def limit_malloc_arenas() -> None:
    """Let all threads share two pools of memory; as `MALLOC_ARENA_MAX=2`, to be called before threads start.

    By default each thread fills a pool of its own, and what one gives back another cannot have: memory creeps up by
    a kilobyte per thousand requests for hundreds of thousands of them. Other C libraries than GNU's have no pools, or
    none that could be limited; there this does nothing.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, _ARENAS)


def give_back_memory() -> None:
    """Let the system have the pages that nothing uses any more; takes milliseconds.

    The C library keeps what is freed for whoever asks next. After a model is closed that would be all of its memory.
    """
    malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
