"""From rays to pixels: several rays in small sprites, four along the outline of large ones."""

from __future__ import annotations

import numpy as np

from wildbench.parksim.anatomy._sdf import Array


def sampled(depth: Array, finer: int) -> Array:
    """Keep every other ray for colouring, and all rays of pixels that would otherwise keep none."""
    if finer == 1:
        return depth
    rows, columns = np.indices(depth.shape)
    kept = (rows + columns) % 2 == 0
    height, width = depth.shape[0] // finer, depth.shape[1] // finer
    chosen = (kept & ~np.isnan(depth)).reshape(height, finer, width, finer).any((1, 3))
    kept |= ~chosen.repeat(finer, 0).repeat(finer, 1)
    return np.where(kept, depth, np.nan)


def reduce(rgb: Array, coloured_depth: Array, depth: Array, finer: int) -> tuple[Array, Array, Array]:
    """Average the rays of each pixel; return colour, coverage and the nearest depth."""
    height, width = depth.shape[0] // finer, depth.shape[1] // finer
    coloured = ~np.isnan(coloured_depth)
    count = coloured.reshape(height, finer, width, finer).sum((1, 3))
    total = (rgb * coloured[..., None]).reshape(height, finer, width, finer, 3).sum((1, 3))
    hit = ~np.isnan(depth)
    nearest = np.where(hit, depth, -np.inf).reshape(height, finer, width, finer).max((1, 3))
    alpha = hit.reshape(height, finer, width, finer).mean((1, 3))
    return total / np.maximum(count, 1)[..., None], alpha, nearest


def extend(rgb: Array, depth: Array) -> tuple[Array, Array]:
    """Give the pixels just outside the outline the mean colour and the depth of their neighbours."""
    hit = ~np.isnan(depth)
    padded = np.pad(np.where(hit[..., None], rgb, 0.0), ((1, 1), (1, 1), (0, 0)))
    known = np.pad(hit.astype(np.float64), 1)
    deep = np.pad(np.where(hit, depth, -np.inf), 1, constant_values=-np.inf)
    height, width = hit.shape
    around = [(v, u) for v in range(3) for u in range(3)]
    total: Array = np.sum([padded[v : v + height, u : u + width] for v, u in around], axis=0)
    count: Array = np.sum([known[v : v + height, u : u + width] for v, u in around], axis=0)
    nearest = np.max([deep[v : v + height, u : u + width] for v, u in around], axis=0)
    filled = np.where(hit[..., None], rgb, total / np.maximum(count, 1.0)[..., None])
    return filled, np.where(hit, depth, nearest)
