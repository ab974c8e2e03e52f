"""How often the intervals of harness.analysis.stats hold the truth, by simulation: the figures of
docs/statistics.md.

    python tests/benchmarks/interval_coverage.py [--sets N] [--tiny]

Cases differ in difficulty (Beta), repeats of a case are independent given it. Every cell is seeded,
so that the same program prints the same digits.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator

import numpy as np
from scipy.special import ndtri

from harness.analysis import stats
from harness.analysis.stats import Estimate

Draw = Callable[[np.random.Generator], Estimate]

TRIALS = {"cases": (10, 20, 30, 50, 100, 200), "repeats": (2, 3, 5, 10)}
RATES = (0.5, 0.7, 0.9, 0.97)
SPREADS = {"alike": 50.0, "mixed": 3.0, "always or never": 0.3}
"""How cases differ -> the Beta distribution's a + b."""


def coverage(draw: Draw, truth: float, sets: int, seed: int) -> tuple[float, float, float]:
    """The shares of intervals that hold the truth, whose low end lies above it, and that are not
    there."""
    dice = np.random.default_rng(seed)
    inside = above = missing = 0
    for _ in range(sets):
        found = draw(dice)
        if found.low is None or found.high is None:
            missing += 1
            continue
        inside += found.low <= truth <= found.high
        above += found.low > truth
    there = max(1, sets - missing)
    return inside / there, above / there, missing / sets


def rate_draw(cases: int, repeats: int, rate: float, spread: float) -> Draw:
    """Pass rates of cases × repeats."""
    clusters = np.repeat(np.arange(cases), repeats)

    def draw(dice: np.random.Generator) -> Estimate:
        chance = dice.beta(rate * spread, (1 - rate) * spread, size=cases)
        return stats.estimate_rate(
            (dice.random((cases, repeats)) < chance[:, None]).ravel(), clusters
        )

    return draw


def score_draw(cases: int, shape: tuple[float, float]) -> Draw:
    """Mean scores in 0..1, one a case."""
    return lambda dice: stats.estimate_mean(
        dice.beta(*shape, size=cases), np.arange(cases), bounded=True
    )


def lognormal_draw(cases: int, sigma: float) -> Draw:
    """Mean latencies, lognormal, one a case."""
    return lambda dice: stats.estimate_mean(dice.lognormal(0, sigma, cases), np.arange(cases))


def slow_mode_draw(cases: int) -> Draw:
    """Mean latencies of which 8 % are ten times as slow."""

    def draw(dice: np.random.Generator) -> Estimate:
        slow = np.where(dice.random(cases) < 0.08, 10.0, 1.0)
        return stats.estimate_mean(slow * dice.lognormal(0, 0.3, cases), np.arange(cases))

    return draw


def percentile_draw(answers: int, share: float, correlation: float) -> Draw:
    """Percentiles of lognormal latencies that follow one another with that lag-1 correlation."""
    order = np.arange(answers)

    def draw(dice: np.random.Generator) -> Estimate:
        noise = dice.normal(size=answers)
        noise[1:] *= np.sqrt(1 - correlation**2)
        for place in range(1, answers):
            noise[place] += correlation * noise[place - 1]
        return stats.estimate_percentile(np.exp(noise / 2), order, share, started=order)

    return draw


def rate_rows(sets: int) -> Iterator[str]:
    cells = [
        (
            cases,
            *coverage(rate_draw(cases, repeats, rate, spread), rate, sets, seed=cases + repeats),
        )
        for cases in TRIALS["cases"]
        for repeats in TRIALS["repeats"]
        for rate in RATES
        for spread in SPREADS.values()
    ]
    for least in (10, 20, 50):
        chosen = [cell for cell in cells if cell[0] >= least]
        yield (
            f"| rate, repeats, n ≥ {least} cases ({len(chosen)} cells) |"
            f" {np.mean([cell[1] for cell in chosen]):.3f} | {min(cell[1] for cell in chosen):.3f} |"
            f" {max(cell[2] for cell in chosen):.3f} | – |"
        )


def other_rows(sets: int) -> Iterator[str]:
    beta = {"mostly 1": (2.0, 0.2), "mixed": (2.0, 1.0), "even": (1.0, 1.0)}
    cells: dict[str, tuple[Draw, float]] = {
        f"mean score, {name}, n = {cases}": (score_draw(cases, shape), shape[0] / sum(shape))
        for name, shape in beta.items()
        for cases in (20, 50)
    }
    cells |= {
        f"mean latency, lognormal σ = {sigma}, n = {cases}": (
            lognormal_draw(cases, sigma),
            float(np.exp(sigma**2 / 2)),
        )
        for sigma in (0.5, 1.2)
        for cases in (10, 20, 50)
    }
    cells |= {
        f"mean latency, 8 % ten times as slow, n = {cases}": (
            slow_mode_draw(cases),
            float(1.72 * np.exp(0.3**2 / 2)),
        )
        for cases in (10, 20, 50)
    }
    cells |= {
        f"p{share * 100:.0f}, lag-1 correlation {correlation}, n = {answers}": (
            percentile_draw(answers, share, correlation),
            float(np.exp(ndtri(share) / 2)),
        )
        for share in (0.5, 0.95)
        for correlation in (0.0, 0.8)
        for answers in (30, 100, 300, 1_000)
    }
    for number, (name, (draw, truth)) in enumerate(cells.items()):
        inside, above, missing = coverage(draw, truth, sets, seed=number)
        shown = "–" if missing == 1 else f"{inside:.3f}"
        yield f"| {name} | {shown} | {shown} | {above:.3f} | {missing:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=2_000, help="simulated data sets a cell")
    parser.add_argument("--tiny", action="store_true", help="a few, to see that it runs")
    options = parser.parse_args()
    sets = 5 if options.tiny else options.sets
    print("| figure | coverage | worst cell | lower bound too high | no interval |")
    print("|---|---|---|---|---|")
    for row in (*rate_rows(sets), *other_rows(sets)):
        print(row, flush=True)


if __name__ == "__main__":
    main()
