"""Overlapping tiles for pictures that do not fit into memory with an ONNX file.

Such a file has no stages that could run in bands, so tiles differ slightly where they meet;
see `tiles`.
"""

from torch import Tensor

from escsr.inference.bands import Progress, Write
from escsr.inference.memory import estimate_memory
from escsr.inference.onnx_engine import OnnxEngine, whole_scale
from escsr.inference.tiles import TILE, TiledMap, tile_grid
from escsr.inference.ways import Way, too_large
from escsr.layers import RowSource


def find_tiles(
    engine: OnnxEngine,
    image_size: tuple[int, int],
    size: tuple[int, int],
    *,
    around: int,
    limit: int | None,
) -> Way:
    """The largest tiles that fit.

    Args:
        engine: Engine of a file.
        image_size: (H, W) of the picture.
        size: (H_out, W_out) of the file's result.
        around: Bytes of the result and of everything else besides the file's work.
        limit: Available bytes; None if unknown.

    Raises:
        MemoryError: If no tiles fit, or the scale is not whole.
    """
    scale = whole_scale(image_size, size)
    if scale is None:
        height, width = image_size
        raise MemoryError(
            f"a picture of {width}×{height} pixels does not fit into memory with this file for "
            "ONNX Runtime at once, and in tiles it makes whole scales only. Ask for a whole scale, "
            "allow more memory, or use the network itself"
        )
    align, halo = _grid(engine)
    tile = max(TILE // align, 1) * align
    while True:
        needed = around + _one_row(engine, image_size, scale, tile=tile, halo=halo)
        if limit is None or needed <= limit:
            return Way(kind="tiles", memory=needed, rows=tile)
        if tile == align:
            raise too_large(image_size, needed, limit, next(engine.network.parameters()).device)
        tile = max(tile // 2 // align, 1) * align


def enlarge_in_tiles(
    engine: OnnxEngine,
    picture: RowSource,
    size: tuple[int, int],
    *,
    tile: int,
    write: Write,
    progress: Progress,
) -> None:
    """Enlarge a picture by a whole scale.

    Args:
        engine: Engine of a file.
        picture: (B, 3, H, W) in [0, 1].
        size: (H_out, W_out).
        tile: Side of a tile, in pixels of the picture.
        write: Called with the rows of the result in order.
        progress: See `Progress`.
    """
    scale = whole_scale(picture.shape[2:], size)
    assert scale is not None

    def make(part: Tensor) -> Tensor:
        height, width = part.shape[2:]
        return engine(part, size=(height * scale, width * scale))

    align, halo = _grid(engine)
    tiles = TiledMap(make, picture, align=align, halo=halo, factor=scale, tile=tile)
    tiles.run(write, progress)


def _grid(engine: OnnxEngine) -> tuple[int, int]:
    """See `tile_grid`, in pixels of the picture."""
    stride = engine.network.backbone.stride
    align, halo = tile_grid(engine.network)
    return align * stride, halo * stride


def _one_row(
    engine: OnnxEngine, image_size: tuple[int, int], scale: int, *, tile: int, halo: int
) -> int:
    """Bytes of a tile, including the row of tiles that it is part of."""
    height, width = (min(tile + 2 * halo, side) for side in image_size)
    one = estimate_memory(engine.network, height, width, (height * scale, width * scale))
    row = 12 * (tile + halo) * scale * image_size[1] * scale
    return one + engine.memory_beyond(height, width) + 2 * row
