"""Rules about several effects: one after another, perhaps, one of them, in any order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from escsr.degradations._checks import check_probability
from escsr.degradations.effect import Frame, Node, Parameters
from escsr.degradations.effects import _drawing as drawing


@dataclass(frozen=True)
class InOrder(Node):
    """One part after another.

    Attributes:
        nodes: Effects and rules.

    Example:
        >>> rule = InOrder((Blur(), ResizeToLq(), Quantize()))
    """

    nodes: tuple[Node, ...]

    def __post_init__(self) -> None:
        """Check that they are effects or rules."""
        check_nodes(self.nodes)

    def steps(self, rng: np.random.Generator, frame: Frame) -> list[Parameters]:
        """Draw each in turn; sizes go from one to the next."""
        return _in_turn(self.nodes, rng, frame)


@dataclass(frozen=True)
class Maybe(Node):
    """A part that happens with a probability.

    Attributes:
        probability: 0 to 1.
        node: Effect or rule.

    Example:
        >>> rule = Maybe(0.8, Blur(sigma=(0.2, 1.5)))
    """

    probability: float
    node: Node

    def __post_init__(self) -> None:
        """Check the probability."""
        check_probability("probability", self.probability)
        check_nodes((self.node,))

    def steps(self, rng: np.random.Generator, frame: Frame) -> list[Parameters]:
        """Draw the part, or nothing."""
        return self.node.steps(rng, frame) if drawing.happens(rng, self.probability) else []


@dataclass(frozen=True)
class OneOf(Node):
    """Exactly one of several parts.

    Attributes:
        choices: Pairs (weight, effect or rule).

    Example:
        >>> rule = OneOf(((0.5, GaussianNoise()), (0.5, PoissonNoise())))
    """

    choices: tuple[tuple[float, Node], ...]

    def __post_init__(self) -> None:
        """Check the weights."""
        drawing.check_weights("choices", [weight for weight, _ in self.choices])
        check_nodes([node for _, node in self.choices])

    def steps(self, rng: np.random.Generator, frame: Frame) -> list[Parameters]:
        """Draw which, and draw it."""
        weights, nodes = zip(*self.choices, strict=True)
        node: Node = drawing.pick_weighted(rng, nodes, weights)
        return node.steps(rng, frame)


@dataclass(frozen=True)
class Shuffled(Node):
    """All parts, in an order that is drawn.

    Attributes:
        nodes: Effects and rules.
        ordered: Positions in ``nodes`` of parts that keep their order among themselves.

    Example:
        >>> rule = Shuffled((Blur(), Resize(), ResizeToLq()), ordered=(1, 2))
    """

    nodes: tuple[Node, ...]
    ordered: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the positions."""
        check_nodes(self.nodes)
        if sorted(set(self.ordered)) != list(self.ordered) or any(
            not 0 <= position < len(self.nodes) for position in self.ordered
        ):
            raise ValueError(
                f"ordered must be rising positions from 0 to {len(self.nodes) - 1}, "
                f"got {self.ordered}"
            )

    def steps(self, rng: np.random.Generator, frame: Frame) -> list[Parameters]:
        """Draw the order, then each part in it."""
        order = [int(position) for position in rng.permutation(len(self.nodes))]
        places = [place for place, position in enumerate(order) if position in self.ordered]
        for place, position in zip(places, self.ordered, strict=True):
            order[place] = position
        return _in_turn([self.nodes[position] for position in order], rng, frame)


def check_nodes(nodes: Sequence[Node]) -> None:
    """Refuse what is neither an effect nor a rule.

    Raises:
        TypeError: Something else is among them.
    """
    for node in nodes:
        if not isinstance(node, Node):
            raise TypeError(f"parts of a pipeline are effects and rules, got {node!r}")


def _in_turn(nodes: Sequence[Node], rng: np.random.Generator, frame: Frame) -> list[Parameters]:
    steps: list[Parameters] = []
    for node in nodes:
        found = node.steps(rng, frame)
        frame = frame.after(found)
        steps += found
    return steps
