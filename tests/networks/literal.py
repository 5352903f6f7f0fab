"""The published networks written down once more, word for word and slowly: the oracle.

Independent of `escsr`: functions on a table of tensors under the published names, in the
number type of the tensors, with loops where the library has tricks. Sources: arXiv 2503.06671,
FlashBias arXiv 2505.12044, ESC-RIB arXiv 2603.06738.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

UPSAMPLERS = ("conv", "pixelshuffledirect", "pixelshuffle", "nearest+conv", "dysample")


# ------------------------------------------------------------------ names and shapes


def conv(name: str, out: int, into: int, side: int, bias: bool = True) -> dict[str, tuple]:
    shapes = {f"{name}.weight": (out, into, side, side)}
    return shapes | ({f"{name}.bias": (out,)} if bias else {})


def norm(name: str, dim: int) -> dict[str, tuple]:
    return {f"{name}.weight": (dim,), f"{name}.bias": (dim,)}


def ffn(name: str, dim: int, ratio: float) -> dict[str, tuple]:
    hidden = int(dim * ratio)
    return (
        conv(f"{name}.proj", hidden, dim, 1)
        | conv(f"{name}.dwc", hidden, 1, 3)
        | conv(f"{name}.aggr", dim, hidden, 1)
    )


def shapes(arch: str, c: dict) -> dict[str, tuple]:
    """Names and shapes of the tensors that a published file of this network holds."""
    dim, p, k = c["dim"], c["pdim"], c["kernel_size"]
    fp, real, rib = arch == "ESCFP", arch in ("ESCReal", "ESCRealM"), arch == "ESCRIB"
    u = unshuffle(arch, c)
    ratio = 1.5 if fp else 4 if rib else 2
    found: dict[str, tuple] = (
        {"lk_channel": (p, p, 1, 1), "lk_spatial": (p, 1, k, k)}
        if fp
        else {"plk_filter": (p, p, k, k)}
    )
    found |= conv("proj.1" if u > 1 else "proj", dim, 3 * u * u, 3)
    for i in range(c["n_blocks"]):
        b = f"blocks.{i}"
        found |= norm(f"{b}.ln_proj", dim) | ffn(f"{b}.proj", dim, ratio)
        found |= norm(f"{b}.ln_attn", dim) | norm(f"{b}.ln_out", dim)
        found |= conv(f"{b}.attn.to_qkv", 3 * dim, dim, 1) | conv(f"{b}.attn.to_out", dim, dim, 1)
        found |= bias_shapes(f"{b}.attn", c)
        if rib:
            found |= conv(f"{b}.attn.gate.0", dim, 1, 3) | conv(f"{b}.attn.gate.1", dim, dim, 1)
        for j in range(c["conv_blocks"]):
            if fp or real or c.get("use_ln"):
                found |= norm(f"{b}.lns.{j}", dim)
            squeezed, path = (p // 4, "plk.proj") if fp else (p // 2, "plk.dwc_proj")
            found |= conv(f"{b}.pconvs.{j}.{path}.1", squeezed, p, 1)
            found |= conv(f"{b}.pconvs.{j}.{path}.3", 9 * p, squeezed, 1)
            found |= conv(f"{b}.pconvs.{j}.aggr", dim, dim, 1)
            found |= ffn(f"{b}.convffns.{j}", dim, c["exp_ratio"])
        found |= conv(f"{b}.conv_out", dim, dim, 3)
    if fp:
        found |= norm("ln_last", dim)
    if rib:
        found |= norm("last.0", dim)
    found |= conv("last.1" if rib else "last", dim, dim, 3)
    if real:
        a = 1 if u > 1 else 0
        found |= conv(f"skip.{a}", 2 * dim, 3 * u * u, 1) | conv(f"skip.{a + 1}", 2 * dim, 1, 7)
        found |= conv(f"skip.{a + 3}", dim, 2 * dim, 1)
    return found | head_shapes(arch, c)


def bias_shapes(name: str, c: dict) -> dict[str, tuple]:
    heads, m = c["num_heads"], c["window_size"]
    kind = c.get("attn_type")
    if kind == "FlashBias":
        return {f"{name}.flashbias_{of}": (heads, m * m, c["flashbias_rank"]) for of in "qk"}
    if kind == "RIB":
        hidden = c["rib_hidden_dim"]
        return {
            f"{name}.to_hidden": (2 + 4 * c["rib_n_freqs"], hidden),
            f"{name}.hidden_b": (1, hidden),
            f"{name}.to_q": (heads, hidden, c["rank"]),
            f"{name}.to_k": (heads, hidden, c["rank"]),
        }
    return {f"{name}.relative_position_bias": (heads, (2 * m - 1) ** 2)}


def unshuffle(arch: str, c: dict) -> int:
    s = c["upscaling_factor"]
    return 4 // s if arch == "ESCRealM" and c.get("unshuffle_mod", True) and s < 3 else 1


def working_scale(arch: str, c: dict) -> int:
    return c["upscaling_factor"] * unshuffle(arch, c)


def factors(s: int) -> list[int]:
    return [3] if s == 3 else [2] * int(math.log2(s))


def head_shapes(arch: str, c: dict) -> dict[str, tuple]:
    dim, s = c["dim"], working_scale(arch, c)
    if arch == "ESCReal" and c.get("use_dysample"):
        return dysample_shapes("to_img", dim, s)
    if arch == "ESCReal":
        return {k: v for n in (1, 4, 6) for k, v in conv(f"to_img.{n}", dim, dim, 3).items()} | (
            conv("to_img.8", 3, dim, 3)
        )
    if arch != "ESCRealM":
        return conv("upsampler.up_conv" if arch == "ESCRIB" else "to_img", 3 * s * s, dim, 3)
    kind, mid = c["upsampler"], c.get("mid_dim", 48)
    if kind == "conv" or s == 1:
        return conv("to_img.0", 3, dim, 3)
    if kind == "pixelshuffledirect":
        return conv("to_img.0", 3 * s * s, dim, 3)
    if kind == "dysample":
        if mid == dim:
            return dysample_shapes("to_img.0", dim, s)
        return conv("to_img.0", mid, dim, 3) | dysample_shapes("to_img.2", mid, s)
    found: dict[str, tuple] = {}
    if kind == "pixelshuffle":
        found, place = conv("to_img.0", mid, dim, 3), 2
        for f in factors(s):
            found |= conv(f"to_img.{place}", mid * f * f, mid, 3)
            place += 2
        return found | conv(f"to_img.{place}", 3, mid, 3)
    place = 0
    for _ in factors(s):
        found |= conv(f"to_img.{place}", dim, dim, 3)
        place += 3
    return found | conv(f"to_img.{place}", dim, dim, 3) | conv(f"to_img.{place + 2}", 3, dim, 3)


def dysample_shapes(name: str, dim: int, s: int) -> dict[str, tuple]:
    return (
        conv(f"{name}.offset", 8 * s * s, dim, 1)
        | conv(f"{name}.scope", 8 * s * s, dim, 1, bias=False)
        | conv(f"{name}.end_conv", 3, dim, 1)
    )


def buffers(arch: str, c: dict) -> dict[str, Tensor]:
    """What a published file holds besides: not drawn, it follows from the configuration."""
    found = {}
    mid, s = c.get("mid_dim", 48), working_scale(arch, c)
    if arch == "ESCRealM":
        row = [2, UPSAMPLERS.index(c["upsampler"]), s, c["dim"], 3, mid, 4]
        found["to_img.MetaUpsample"] = torch.tensor(row, dtype=torch.uint8)
    if arch == "ESCReal" and c.get("use_dysample"):
        found["to_img.init_pos"] = init_pos(s)
    elif c.get("upsampler") == "dysample" and s > 1:
        found[f"to_img.{0 if mid == c['dim'] else 2}.init_pos"] = init_pos(s)
    return found


def init_pos(s: int) -> Tensor:
    h = torch.arange((1 - s) / 2, (s - 1) / 2 + 1) / s
    grid = torch.stack(torch.meshgrid(h, h, indexing="ij"))
    return grid.transpose(1, 2).repeat(1, 4, 1).reshape(1, -1, 1, 1)


# ------------------------------------------------------------------ the networks


class Literal:
    """A published network as a function of its tensors."""

    def __init__(self, arch: str, c: dict, tensors: dict[str, Tensor]) -> None:
        self.arch, self.c, self.t = arch, c, tensors

    def conv(self, name: str, x: Tensor, groups: int = 1, padding: int | None = None) -> Tensor:
        w = self.t[f"{name}.weight"]
        pad = w.shape[-1] // 2 if padding is None else padding
        return F.conv2d(x, w, self.t.get(f"{name}.bias"), padding=pad, groups=groups)

    def norm(self, name: str, x: Tensor) -> Tensor:
        mean = x.mean(1, keepdim=True)
        variance = ((x - mean) ** 2).mean(1, keepdim=True)
        w, b = self.t[f"{name}.weight"], self.t[f"{name}.bias"]
        return (x - mean) / torch.sqrt(variance + 1e-6) * w[:, None, None] + b[:, None, None]

    def ffn(self, name: str, x: Tensor) -> Tensor:
        h = F.gelu(self.conv(f"{name}.proj", x))
        h = F.gelu(self.conv(f"{name}.dwc", h, groups=h.shape[1])) + h
        return self.conv(f"{name}.aggr", h)

    def attention(self, name: str, x: Tensor) -> Tensor:
        m, heads = self.c["window_size"], self.c["num_heads"]
        h, w = x.shape[-2:]
        gate = self.gate(f"{name}.gate", x) if f"{name}.gate.0.weight" in self.t else None
        x = reflect(x, 0, -h % m, 0, -w % m)
        q, k, v = self.conv(f"{name}.to_qkv", x).chunk(3, dim=1)
        out = torch.zeros_like(q)
        d = q.shape[1] // heads
        biases = [self.bias(name, a) for a in range(heads)]
        for b in range(x.shape[0]):
            for top in range(0, x.shape[-2], m):
                for left in range(0, x.shape[-1], m):
                    place = (slice(top, top + m), slice(left, left + m))
                    for a in range(heads):
                        part = slice(a * d, (a + 1) * d)
                        qs, ks, vs = (z[(b, part, *place)].reshape(d, -1).T for z in (q, k, v))
                        scores = qs @ ks.T / math.sqrt(d) + biases[a]
                        out[(b, part, *place)] = (scores.softmax(-1) @ vs).T.reshape(d, m, m)
        out = out[..., :h, :w]
        return self.conv(f"{name}.to_out", out if gate is None else out * gate)

    def gate(self, name: str, x: Tensor) -> Tensor:
        return self.conv(f"{name}.1", self.conv(f"{name}.0", x, groups=x.shape[1])).sigmoid()

    def bias(self, name: str, head: int) -> Tensor:
        m = self.c["window_size"]
        ys, xs = np.divmod(np.arange(m * m), m)
        kind = self.c.get("attn_type")
        if kind == "FlashBias":
            return self.t[f"{name}.flashbias_q"][head] @ self.t[f"{name}.flashbias_k"][head].T
        if kind == "RIB":
            x, y = 2 * (xs + 0.5) / m - 1, 2 * (ys + 0.5) / m - 1
            columns = [x, y]
            for n in range(self.c["rib_n_freqs"]):
                f = 2.0**n
                columns += [np.sin(f * x), np.sin(f * y), np.cos(f * x), np.cos(f * y)]
            to_hidden, to_q, to_k = (self.t[f"{name}.{n}"] for n in ("to_hidden", "to_q", "to_k"))
            e = torch.from_numpy(np.stack(columns, 1)).to(to_hidden)
            hidden = F.relu(e @ to_hidden + self.t[f"{name}.hidden_b"])
            return (hidden @ to_q[head]) @ (hidden @ to_k[head]).T / math.sqrt(self.c["rank"])
        index = (ys[None] - ys[:, None] + m - 1) * (2 * m - 1) + xs[None] - xs[:, None] + m - 1
        return self.t[f"{name}.relative_position_bias"][head][torch.from_numpy(index)]

    def conv_attention(self, name: str, x: Tensor) -> Tensor:
        p, fp = self.c["pdim"], self.arch == "ESCFP"
        first, rest = x[:, :p], x[:, p:]
        path = f"{name}.plk.{'proj' if fp else 'dwc_proj'}"
        dynamic = self.conv(f"{path}.3", F.gelu(self.conv(f"{path}.1", first.mean((2, 3), True))))
        mixed = []
        for sample, kernel in zip(first, dynamic.reshape(-1, p, 1, 3, 3), strict=True):
            one = sample[None]
            if fp:
                k = self.c["kernel_size"]
                spatial = self.t["lk_spatial"].clone()
                spatial[..., k // 2 - 1 : k // 2 + 2, k // 2 - 1 : k // 2 + 2] += kernel
                one = F.conv2d(one, self.t["lk_channel"])
                mixed.append(F.conv2d(one, spatial, padding=k // 2, groups=p))
            else:
                large = self.t["plk_filter"]
                turned = [torch.rot90(large, n, (2, 3)) for n in range(4)]
                mean = sum(z + z.flip(-1) for z in turned) / 8
                a = F.conv2d(one, mean, padding=mean.shape[-1] // 2)
                mixed.append(a + F.conv2d(one, kernel, padding=1, groups=p))
        return self.conv(f"{name}.aggr", torch.cat([torch.cat(mixed), rest], 1))

    def block(self, b: str, x: Tensor) -> Tensor:
        skip = x
        x = self.ffn(f"{b}.proj", self.norm(f"{b}.ln_proj", x))
        x = x + self.attention(f"{b}.attn", self.norm(f"{b}.ln_attn", x))
        for j in range(self.c["conv_blocks"]):
            y = self.norm(f"{b}.lns.{j}", x) if f"{b}.lns.{j}.weight" in self.t else x
            y = self.ffn(f"{b}.convffns.{j}", y)
            x = x + self.conv_attention(f"{b}.pconvs.{j}", y)
        return self.conv(f"{b}.conv_out", self.norm(f"{b}.ln_out", x)) + skip

    def __call__(self, image: Tensor) -> Tensor:
        u, s = unshuffle(self.arch, self.c), self.c["upscaling_factor"]
        h, w = image.shape[-2:]
        x = reflect(image, 0, -h % u, 0, -w % u)
        x = F.pixel_unshuffle(x, u)
        shallow = f = self.conv("proj.1" if u > 1 else "proj", x)
        for i in range(self.c["n_blocks"]):
            f = self.block(f"blocks.{i}", f)
        if self.arch == "ESCRIB":
            f = self.conv("last.1", self.norm("last.0", f))
        else:
            f = self.conv("last", self.norm("ln_last", f) if "ln_last.weight" in self.t else f)
        f = f + shallow
        if self.arch in ("ESCReal", "ESCRealM"):
            a = 1 if u > 1 else 0
            y = reflect(self.conv(f"skip.{a}", x), 3, 3, 3, 3)
            y = self.conv(f"skip.{a + 1}", y, groups=y.shape[1], padding=0)
            f = f + self.conv(f"skip.{a + 3}", F.leaky_relu(y, 0.2))
        return self.head(f, image)[..., : h * s, : w * s]

    def head(self, f: Tensor, image: Tensor) -> Tensor:
        s = working_scale(self.arch, self.c)
        if self.arch in ("ESC", "ESCRIB"):
            up_conv = "to_img" if self.arch == "ESC" else "upsampler.up_conv"
            return F.pixel_shuffle(
                self.conv(up_conv, f) + torch.repeat_interleave(image, s * s, 1), s
            )
        if self.arch == "ESCFP":
            base = F.interpolate(image, scale_factor=s, mode="bicubic", align_corners=False)
            return F.pixel_shuffle(self.conv("to_img", f), s) + base
        if self.arch == "ESCReal":
            if self.c.get("use_dysample"):
                return self.dysample("to_img", f, s)
            f = F.leaky_relu(self.conv("to_img.1", up(f, 2)), 0.2)
            f = F.leaky_relu(self.conv("to_img.4", up(f, 2)), 0.2)
            return self.conv("to_img.8", F.leaky_relu(self.conv("to_img.6", f), 0.2))
        kind = self.c["upsampler"]
        if kind == "conv" or s == 1:
            return self.conv("to_img.0", f)
        if kind == "pixelshuffledirect":
            return F.pixel_shuffle(self.conv("to_img.0", f), s)
        if kind == "dysample":
            if self.c.get("mid_dim", 48) == self.c["dim"]:
                return self.dysample("to_img.0", f, s)
            return self.dysample("to_img.2", F.leaky_relu(self.conv("to_img.0", f), 0.01), s)
        place = 0
        if kind == "pixelshuffle":
            f, place = F.leaky_relu(self.conv("to_img.0", f), 0.01), 2
            for factor in factors(s):
                f = F.pixel_shuffle(self.conv(f"to_img.{place}", f), factor)
                place += 2
            return self.conv(f"to_img.{place}", f)
        for factor in factors(s):
            f = F.leaky_relu(up(self.conv(f"to_img.{place}", f), factor), 0.2)
            place += 3
        f = F.leaky_relu(self.conv(f"to_img.{place}", f), 0.2)
        return self.conv(f"to_img.{place + 2}", f)

    def dysample(self, name: str, x: Tensor, s: int) -> Tensor:
        b, _, h, w = x.shape
        scope = F.conv2d(x, self.t[f"{name}.scope.weight"]).sigmoid()
        offset = self.conv(f"{name}.offset", x) * scope * 0.5 + init_pos(s).to(x)
        offset = offset.view(b, 2, -1, h, w)
        gx, gy = torch.meshgrid(torch.arange(w) + 0.5, torch.arange(h) + 0.5, indexing="xy")
        centres = torch.stack([gx, gy])[None, :, None].to(x)
        coords = 2 * (centres + offset) / torch.tensor([w, h]).view(1, 2, 1, 1, 1).to(x) - 1
        coords = F.pixel_shuffle(coords.reshape(b, -1, h, w), s)
        coords = coords.view(b, 2, 4, s * h, s * w).permute(0, 2, 3, 4, 1).flatten(0, 1)
        sampled = F.grid_sample(
            x.reshape(b * 4, -1, h, w), coords, padding_mode="border", align_corners=False
        )
        return self.conv(f"{name}.end_conv", sampled.view(b, -1, s * h, s * w))


def up(x: Tensor, factor: int) -> Tensor:
    return x.repeat_interleave(factor, 2).repeat_interleave(factor, 3)


def reflect(x: Tensor, top: int, bottom: int, left: int, right: int) -> Tensor:
    """Reflection that goes on for ever; NumPy has it."""
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (top, bottom), (left, right)), mode="reflect")
    return torch.from_numpy(padded)
