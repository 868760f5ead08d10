"""Seeded draws without numpy: Poisson and binomial counts."""

import math
import random

_SMALL = 30.0


def poisson(rng: random.Random, mean: float) -> int:
    """A Poisson count; rounded normal above a mean of 100."""
    if mean > 100:
        return max(0, round(rng.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, rng.random()
    while product > limit:
        count += 1
        product *= rng.random()
    return count


def binomial(rng: random.Random, number: int, share: float) -> int:
    """A binomial count: by waiting times while the mean is small, a rounded normal beyond."""
    if number <= 0 or share <= 1e-12:
        return 0
    if share >= 1:
        return number
    if share > 0.5:
        return number - binomial(rng, number, 1 - share)
    mean = number * share
    if mean > _SMALL:
        return min(number, max(0, round(rng.gauss(mean, math.sqrt(mean * (1 - share))))))
    count, position, log_miss = 0, 0, math.log1p(-share)
    while True:
        position += int(math.log(1.0 - rng.random()) / log_miss) + 1
        if position > number:
            return count
        count += 1
