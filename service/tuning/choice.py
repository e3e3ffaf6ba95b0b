"""Which settings to try and which to take, with the reason for each; no clock and no model here, only numbers."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

# Measurements on machines that do other things as well differ by this much for no reason.
_NOISE = 0.03
# A crop waits at worst for a pass that has just begun, then for its own; one more for decoding and what is in the way.
_PASSES_OF_A_LIMIT = 3
_WORSE = 0.9  # of the best rate so far: larger batches are not tried


class Arrangement(NamedTuple):
    """So many forward passes side by side on so many threads each; see `service.model_threads`."""

    batches_at_once: int
    intra_op_threads: int


class Passes(NamedTuple):
    """What forward passes of each batch size take while all passes of the arrangement run.

    Attributes:
        arrangement: which one.
        seconds: by batch size, ascending.
    """

    arrangement: Arrangement
    seconds: dict[int, float]

    def crops_per_second(self, size: int) -> float:
        """Of all passes together."""
        return self.arrangement.batches_at_once * size / self.seconds[size]


class Candidate(NamedTuple):
    """Settings to try under load."""

    arrangement: Arrangement
    max_batch: int
    decode_threads: int

    @property
    def in_flight(self) -> int:
        """As many pictures as saturate it, and no more: each pass full, another batch waiting, each thread busy."""
        return 2 * self.arrangement.batches_at_once * self.max_batch + self.decode_threads


class Load(NamedTuple):
    """What the whole pipeline did with them, with `Candidate.in_flight` pictures in flight."""

    images_per_second: float
    p99_seconds: float


class Tuning(NamedTuple):
    """What was measured and what is taken.

    Attributes:
        passes: of every arrangement, the default one first.
        loads: of every candidate, the default one first.
        chosen: one of them.
        reasons: of each setting, by its name.
    """

    passes: list[Passes]
    loads: dict[Candidate, Load]
    chosen: Candidate
    reasons: dict[str, str]


MeasurePass = Callable[[Arrangement, int], float]
MeasureLoad = Callable[[Candidate], Load]


def arrangements(cores: int) -> list[Arrangement]:
    """Every power of two of passes side by side, and one for each core, which is the default and comes first."""
    at_once = {cores, *(2**power for power in range(cores.bit_length()) if 2**power <= cores)}
    return [Arrangement(number, cores // number) for number in sorted(at_once, reverse=True)]


def decode_threads(cores: int) -> list[int]:
    """One thread for each core, which is the default and comes first; half as many; twice as many."""
    return [cores, *({max(1, cores // 2), 2 * cores} - {cores})]


def tune(
    cores: int,
    sizes: Sequence[int],
    default_batch: int,
    measure_pass: MeasurePass,
    measure_load: MeasureLoad,
    p99_seconds: float | None = None,
) -> Tuning:
    """Measure forward passes, then the pipeline with what they suggest and with the defaults, and choose.

    Args:
        cores: that may be used.
        sizes: of batches, ascending from 1.
        default_batch: the largest batch of a server without settings.
        measure_pass: seconds of a forward pass of a size while all passes of the arrangement run.
        measure_load: the pipeline with those settings.
        p99_seconds: the longest that 99 of 100 answers may take; None: only throughput counts.
    """
    limit = float("inf") if p99_seconds is None else p99_seconds
    passes = [_measure_passes(arrangement, sizes, measure_pass) for arrangement in arrangements(cores)]
    batches = {one.arrangement: _largest_batch(one, limit) for one in passes}
    candidates = [
        Candidate(one.arrangement, batches[one.arrangement], threads)
        for one in passes
        for threads in decode_threads(cores)
    ]
    default = Candidate(passes[0].arrangement, default_batch, decode_threads(cores)[0])
    if _PASSES_OF_A_LIMIT * passes[0].seconds.get(default_batch, float("inf")) <= limit:
        candidates.insert(0, default)
    loads = {candidate: measure_load(candidate) for candidate in dict.fromkeys(candidates)}
    chosen = _choose(loads, limit)
    return Tuning(passes, loads, chosen, _reasons(passes, loads, chosen, default, cores, limit))


def _measure_passes(arrangement: Arrangement, sizes: Sequence[int], measure: MeasurePass) -> Passes:
    passes, best = Passes(arrangement, {}), 0.0
    for size in sizes:
        passes.seconds[size] = measure(arrangement, size)
        rate = passes.crops_per_second(size)
        if rate < _WORSE * best:
            break
        best = max(best, rate)
    return passes


def _largest_batch(passes: Passes, limit: float) -> int:
    """The smallest size that is about as good as the best of those that the limit allows; 1 where it allows none."""
    allowed = [size for size, seconds in passes.seconds.items() if _PASSES_OF_A_LIMIT * seconds <= limit] or [1]
    best = max(map(passes.crops_per_second, allowed))
    return next(size for size in allowed if passes.crops_per_second(size) >= (1 - _NOISE) * best)


def _choose(loads: dict[Candidate, Load], limit: float) -> Candidate:
    """The first candidate that keeps the limit, which is the default if that one does, unless others are faster by more
    than noise: then the first of those that is about as fast as the fastest.

    Where none keeps the limit, the one that comes nearest.
    """
    allowed = {candidate: load for candidate, load in loads.items() if load.p99_seconds <= limit}
    if not allowed:
        return min(loads, key=lambda candidate: loads[candidate].p99_seconds)
    rates = {candidate: load.images_per_second for candidate, load in allowed.items()}
    first = next(iter(rates))
    faster = {candidate: rate for candidate, rate in rates.items() if rate > (1 + _NOISE) * rates[first]}
    if not faster:
        return first
    return next(candidate for candidate, rate in faster.items() if rate >= (1 - _NOISE) * max(faster.values()))


def _reasons(
    passes: Sequence[Passes],
    loads: dict[Candidate, Load],
    chosen: Candidate,
    default: Candidate,
    cores: int,
    limit: float,
) -> dict[str, str]:
    load = loads[chosen]
    others = sorted(other.images_per_second for candidate, other in loads.items() if candidate != chosen)
    under_load = f"{load.images_per_second:.1f} images/s, where others did {others[0]:.1f} to {others[-1]:.1f}"
    if chosen == default and load.p99_seconds <= limit:
        another = "another" if limit == float("inf") else "another within the limit"
        under_load += f"; the default, kept unless {another} is more than {100 * _NOISE:g} % faster"
    elif chosen != default and default in loads:
        under_load += f" and the defaults {loads[default].images_per_second:.1f}"
    if limit != float("inf"):
        kept = "within" if load.p99_seconds <= limit else "the nearest to, but beyond"
        under_load += f"; p99 {1000 * load.p99_seconds:.1f} ms, {kept} {1000 * limit:g} ms"
    of_chosen = next(one for one in passes if one.arrangement == chosen.arrangement)
    if chosen.max_batch in of_chosen.seconds:
        rates = {size: of_chosen.crops_per_second(size) for size in of_chosen.seconds}
        best = max(rates, key=lambda size: rates[size])
        batch = f"{rates[chosen.max_batch]:.0f} crops/s by itself, the best size ({best}) {rates[best]:.0f}"
    else:
        batch = "the default; no other was better under load by more than noise"
    return {
        "batches_at_once": under_load,
        "intra_op_threads": f"{cores} cores divided by batches_at_once",
        "decode_threads": under_load,
        "max_batch": batch,
    }


def tables(tuning: Tuning) -> Iterator[str]:
    """What was measured, line by line, as Markdown."""
    sizes = sorted({size for one in tuning.passes for size in one.seconds})
    yield f"| batches_at_once x intra_op_threads | {' | '.join(f'batch {size}' for size in sizes)} |"
    yield "|---" * (len(sizes) + 1) + "|"
    for one in tuning.passes:
        cells = (
            f"{1000 * one.seconds[size]:.1f} ms, {one.crops_per_second(size):.0f}/s" if size in one.seconds else ""
            for size in sizes
        )
        yield f"| {one.arrangement.batches_at_once} x {one.arrangement.intra_op_threads} | {' | '.join(cells)} |"
    yield ""
    yield "| batches_at_once x intra_op_threads | max_batch | decode_threads | in flight | images/s | p99 ms | |"
    yield "|---|---|---|---|---|---|---|"
    for candidate, load in tuning.loads.items():
        at_once, threads = candidate.arrangement
        mark = "chosen" if candidate == tuning.chosen else ""
        yield (
            f"| {at_once} x {threads} | {candidate.max_batch} | {candidate.decode_threads} | {candidate.in_flight} "
            f"| {load.images_per_second:.1f} | {1000 * load.p99_seconds:.1f} | {mark} |"
        )
