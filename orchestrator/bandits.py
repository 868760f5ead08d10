"""Routers that learn from feedback which of their children earns most.

What they have learnt is two numbers for each child. It lives as long as this process: each replica learns from the
feedback that reaches it, and a new pod begins anew.
"""

from collections.abc import Mapping
from random import Random
from typing import Protocol

from orchestrator.errors import BadPayloadError
from orchestrator.graph.node import LEARNING, BuiltIn, Graph, Node


class Bandit(Protocol):
    """Chooses a child, and is told what came of it."""

    def choose(self) -> int:
        """The child that takes the next request."""

    def learn(self, child: int, reward: float) -> None:
        """Take a reward of 0 to 1 for a child."""


class _Rewards:
    """How often each child was rewarded, and with how much in all."""

    def __init__(self, children: int) -> None:
        self.counts = [0] * children
        self.sums = [0.0] * children

    def learn(self, child: int, reward: float) -> None:
        """Take a reward of 0 to 1 for a child. Raises BadPayloadError for another reward."""
        if not 0.0 <= reward <= 1.0:
            raise BadPayloadError(f"reward: {reward!r} is not valid; a router that learns takes 0 to 1")
        self.counts[child] += 1
        self.sums[child] += reward


class EpsilonGreedy(_Rewards):
    """The child with the highest mean reward, but for a share `epsilon` of the requests, which the others have.

    Sutton and Barto, Reinforcement Learning, 2018, section 2.2. A child without a reward has the mean 0; among equals
    the first is the best.
    """

    def __init__(self, children: int, epsilon: float, chance: Random) -> None:
        super().__init__(children)
        self._epsilon = epsilon
        self._chance = chance

    def choose(self) -> int:
        """The child that takes the next request."""
        means = [total / count if count else 0.0 for total, count in zip(self.sums, self.counts, strict=True)]
        best = means.index(max(means))
        if len(means) == 1 or self._chance.random() >= self._epsilon:
            return best
        other = self._chance.randrange(len(means) - 1)
        return other + (other >= best)


class ThompsonSampling(_Rewards):
    """Each child with the probability that it is the best one, by what is known of it.

    Of each a mean reward is drawn from Beta(1 + rewards, 1 + what was missing from full rewards); the highest has the
    request. Chapelle and Li, An Empirical Evaluation of Thompson Sampling, 2011; a reward between 0 and 1 counts as
    that part of a success.
    """

    def __init__(self, children: int, chance: Random) -> None:
        super().__init__(children)
        self._chance = chance

    def choose(self) -> int:
        """The child that takes the next request."""
        drawn = [
            self._chance.betavariate(1.0 + total, 1.0 + count - total)
            for total, count in zip(self.sums, self.counts, strict=True)
        ]
        return drawn.index(max(drawn))


def bandits(graph: Graph, chance: Random) -> Mapping[str, Bandit]:
    """The learning routers of a graph by their names; one with a parameter `seed` draws from its own stream."""
    return {
        node.name: _made(node, Random(int(node.parameters["seed"])) if "seed" in node.parameters else chance)
        for node in graph.nodes.values()
        if node.built_in in LEARNING
    }


def _made(node: Node, chance: Random) -> Bandit:
    if node.built_in is BuiltIn.THOMPSON_SAMPLING:
        return ThompsonSampling(len(node.children), chance)
    return EpsilonGreedy(len(node.children), float(node.parameters.get("epsilon", 0.1)), chance)
