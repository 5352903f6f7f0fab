"""The heads for any scale once more, query by query, in plain loops and double precision.

Written from the definitions of the papers (arXiv 2012.09161, 2111.08918, 1903.00875 and
2404.16451) and independent of the package: of a head only its weights and its arguments are
read. Places are fractions, so nothing is decided by rounding.
"""

import itertools
from fractions import Fraction

import numpy as np
import torch


def centre(i: int, n: int) -> Fraction:
    return Fraction(2 * i + 1 - n, n)


def nearest(at: Fraction, n: int) -> int:
    """The pixel that a coordinate lies in; on a border the next one; outside the outermost."""
    return min(max((at + 1) * n // 2, 0), n - 1)


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0)


class Literal:
    """A head, with the features and the picture that are asked about.

    Args:
        head: One of the package, in double precision.
        features: (C, h, w).
        lq: (3, H, W).
    """

    def __init__(self, head: torch.nn.Module, features: torch.Tensor, lq: torch.Tensor) -> None:
        self.head, self.kind = head, type(head).__name__
        self.weights = {name: t.detach().numpy() for name, t in head.state_dict().items()}
        self.features, self.lq = features.numpy(), lq.numpy()
        self.padded = np.pad(self.features, [(0, 0), (1, 1), (1, 1)])
        self.size = self.features.shape[1:]

    # ------------------------------------------------------------------ frame

    def picture(self, size: tuple[int, int]) -> torch.Tensor:
        """(3, H_out, W_out); NaN where the blend is undefined."""
        cell = [Fraction(2, n) for n in size]
        rows = [
            [self.at((centre(i, size[0]), centre(j, size[1])), cell) for j in range(size[1])]
            for i in range(size[0])
        ]
        return torch.from_numpy(np.array(rows).transpose(2, 0, 1))

    def at(self, query: tuple[Fraction, Fraction], cell: list[Fraction]) -> np.ndarray:
        """The colour of one query."""
        clip = self.head.cell_max_scale
        cell_rel = np.array(
            [
                float(c * n) if clip is None else max(float(c * n), 2 / clip)
                for c, n in zip(cell, self.size, strict=True)
            ]
        )
        if not self.head.local_ensemble:
            answer = self.predict(*self.seen_from(query, (0, 0)), cell_rel)
        else:
            answer = self.blend(query, cell_rel)
        return answer if self.head.image_skip is None else answer + self.bilinear(query)

    def seen_from(
        self, query: tuple[Fraction, Fraction], shift: tuple[int, int]
    ) -> tuple[list[int], list[float]]:
        """The latent pixel nearest to the shifted query, and the way from it to the query."""
        pixel = [
            nearest(q + Fraction(s, n), n) for q, s, n in zip(query, shift, self.size, strict=True)
        ]
        rel = [(q - centre(p, n)) * n for q, p, n in zip(query, pixel, self.size, strict=True)]
        return pixel, rel

    def blend(self, query: tuple[Fraction, Fraction], cell_rel: np.ndarray) -> np.ndarray:
        shifts = list(itertools.product((-1, 1), repeat=2))
        found = [self.seen_from(query, shift) for shift in shifts]
        areas = [abs(rel[0] * rel[1]) for _, rel in found]
        total = sum(areas)
        if total == 0:
            return np.full(3, np.nan)
        return sum(
            # The rectangle to the opposite neighbour, which comes last where this comes first.
            float(area / total) * self.predict(pixel, rel, cell_rel)
            for (pixel, rel), area in zip(found, reversed(areas), strict=True)
        )

    def bilinear(self, query: tuple[Fraction, Fraction]) -> np.ndarray:
        sides = []
        for q, n in zip(query, self.lq.shape[1:], strict=True):
            place = min(max((q + 1) * n / 2 - Fraction(1, 2), Fraction(0)), Fraction(n - 1))
            low = int(place)
            sides.append([(low, 1 - place + low), (min(low + 1, n - 1), place - low)])
        return sum(float(a * b) * self.lq[:, y, x] for (y, a), (x, b) in itertools.product(*sides))

    # ------------------------------------------------------------------ parts

    def patch(self, pixel: list[int]) -> np.ndarray:
        """Channel by channel the 3×3 features around a pixel, zero beyond the border."""
        y, x = pixel
        return self.padded[:, y : y + 3, x : x + 3].ravel()

    def conv(self, name: str, pixel: list[int]) -> np.ndarray:
        weight = self.weights[f"{name}.weight"]
        seen = self.patch(pixel) if weight.shape[-1] == 3 else self.features[:, pixel[0], pixel[1]]
        return weight.reshape(len(weight), -1) @ seen + self.weights[f"{name}.bias"]

    def dense(self, name: str, x: np.ndarray) -> np.ndarray:
        weight = self.weights[f"{name}.weight"].reshape(-1, len(x))
        bias = self.weights.get(f"{name}.bias", 0)
        return weight @ x + bias

    def count(self, name: str) -> int:
        return sum(key.startswith(f"{name}.") and key.endswith(".weight") for key in self.weights)

    def predict(self, pixel: list[int], rel: list[Fraction], cell_rel: np.ndarray) -> np.ndarray:
        rel = np.array([float(r) for r in rel])
        return getattr(self, self.kind.lower())(pixel, rel, cell_rel)

    # ------------------------------------------------------------------ heads

    def liif(self, pixel: list[int], rel: np.ndarray, cell_rel: np.ndarray) -> np.ndarray:
        unfold = self.head.kernel_size == 3
        seen = self.patch(pixel) if unfold else self.features[:, pixel[0], pixel[1]]
        x = np.concatenate([seen, rel, cell_rel if self.head.cell_decode else []])
        x = relu(self.dense("first", x))
        for i in range(self.count("layers")):
            x = relu(self.dense(f"layers.{i}", x))
        return self.dense("last", x)

    def lte(self, pixel: list[int], rel: np.ndarray, cell_rel: np.ndarray) -> np.ndarray:
        frequency = self.conv("freq", pixel)
        if self.kind == "LTE":
            frequency_y, frequency_x = frequency[0::2], frequency[1::2]
        else:
            frequency_y, frequency_x = np.split(frequency, 2)
        angle = frequency_y * rel[0] + frequency_x * rel[1]
        if "phase.weight" in self.weights:
            angle = angle + self.dense("phase", cell_rel)
        x = self.conv("coef", pixel) * np.concatenate(
            [np.cos(np.pi * angle), np.sin(np.pi * angle)]
        )
        for i in range(self.count("layers")):
            x = relu(self.dense(f"layers.{i}", x))
        return self.dense("last", x)

    ltefast = lte

    def metasr(self, pixel: list[int], rel: np.ndarray, cell_rel: np.ndarray) -> np.ndarray:
        inverse_scale = (cell_rel[0] * cell_rel[1]) ** 0.5 / 2
        hidden = relu(self.dense("first", np.array([*rel, inverse_scale])))
        return self.dense("last", hidden).reshape(3, -1) @ self.patch(pixel)

    def tiny(self, x: np.ndarray, scale: np.ndarray, shift: np.ndarray) -> np.ndarray:
        """The perceptron of 16 channels, with a scale and a shift for each layer."""
        for i in range(self.head.depth):
            x = relu(self.dense(f"layers.{i}", x) * (1 + scale[i]) + shift[i])
        return self.dense("last", x)

    def modulations(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        for i in range(self.count("latent")):
            x = relu(self.dense(f"latent.{i}", x))
        mixed = self.dense("modulate", x)
        shape = (2, self.head.depth, self.head.render_dim)
        (scale, shift), code = mixed[: np.prod(shape)].reshape(shape), mixed[np.prod(shape) :]
        return scale, shift, code

    def lmfliif(self, pixel: list[int], rel: np.ndarray, cell_rel: np.ndarray) -> np.ndarray:
        seen = self.conv("see", pixel)
        if self.head.cell_decode:
            seen = seen + self.dense("see_cell", cell_rel)
        scale, shift, code = self.modulations(relu(seen))
        x = np.concatenate([code, rel, cell_rel if self.head.cell_decode else []])
        return self.tiny(x, scale, shift)

    def lmflte(self, pixel: list[int], rel: np.ndarray, cell_rel: np.ndarray) -> np.ndarray:
        angle = self.conv("freq", pixel)
        if self.head.cell_decode:
            angle = angle + self.dense("phase", cell_rel)
        waves = np.concatenate([np.cos(np.pi * angle), np.sin(np.pi * angle)])
        scale, shift, code = self.modulations(self.conv("coef", pixel) * waves)
        amplitude, frequency = np.split(code, 2)
        frequency_y, frequency_x = np.split(frequency, 2)
        angle = frequency_y * rel[0] + frequency_x * rel[1]
        if self.head.cell_decode:
            angle = angle + self.dense("render_phase", cell_rel)
        waves = np.concatenate([np.cos(np.pi * angle), np.sin(np.pi * angle)])
        return self.tiny(amplitude * waves, scale, shift)
