"""Rules for several effects: in sequence, by chance, one of several, in random order."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from escsr.degradations.bounds import PROBABILITY, checked_by
from escsr.degradations.effect import Frame, Node, Parameters
from escsr.degradations.effects import _drawing as drawing


def check_nodes(name: str, nodes: Sequence[Node]) -> None:
    """Refuse anything but effects and rules.

    Raises:
        TypeError: There is something else among them.
    """
    for node in nodes:
        if not isinstance(node, Node):
            raise TypeError(f"{name} must be effects and rules about them, got {node!r}")


def _check_node(name: str, node: Node) -> None:
    check_nodes(name, (node,))


def _check_choices(name: str, choices: Sequence[tuple[float, Node]]) -> None:
    drawing.check_weights(name, [weight for weight, _ in choices])
    check_nodes(name, [node for _, node in choices])


@dataclass(frozen=True)
class InOrder(Node):
    """Several parts, one after another.

    Attributes:
        nodes: Effects and rules.

    Example:
        >>> rule = InOrder((Blur(), ResizeToLq(), Quantize()))
    """

    nodes: tuple[Node, ...] = field(metadata=checked_by(check_nodes))

    def steps(self, rng: np.random.Generator, frame: Frame) -> list[Parameters]:
        """Draw each in turn, passing the size from one to the next."""
        return _in_turn(self.nodes, rng, frame)


@dataclass(frozen=True)
class Maybe(Node):
    """A part applied with a given probability.

    Attributes:
        probability: 0 to 1.
        node: Effect or rule.

    Example:
        >>> rule = Maybe(0.8, Blur(sigma=(0.2, 1.5)))
    """

    probability: float = field(metadata=PROBABILITY.one)
    node: Node = field(metadata=checked_by(_check_node))

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

    choices: tuple[tuple[float, Node], ...] = field(metadata=checked_by(_check_choices))

    def steps(self, rng: np.random.Generator, frame: Frame) -> list[Parameters]:
        """Choose one at random, and draw it."""
        weights, nodes = zip(*self.choices, strict=True)
        node: Node = drawing.pick_weighted(rng, nodes, weights)
        return node.steps(rng, frame)


@dataclass(frozen=True)
class Shuffled(Node):
    """All parts, in random order.

    Attributes:
        nodes: Effects and rules.
        ordered: Positions in ``nodes`` of parts that keep their order among themselves.

    Example:
        >>> rule = Shuffled((Blur(), Resize(), ResizeToLq()), ordered=(1, 2))
    """

    nodes: tuple[Node, ...] = field(metadata=checked_by(check_nodes))
    ordered: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        """Check the positions, too."""
        super().__post_init__()
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


def _in_turn(nodes: Sequence[Node], rng: np.random.Generator, frame: Frame) -> list[Parameters]:
    steps: list[Parameters] = []
    for node in nodes:
        found = node.steps(rng, frame)
        frame = frame.after(found)
        steps += found
    return steps
