"""Shading of the traced surface: fur, sun with cast shadow, sky and bounce light, and the camera's own infrared flash.

Nothing here feeds back into a mask.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from wildbench.datasets.parksim.coat import coat_colour, smoothstep
from wildbench.datasets.parksim.sdf import (
    TILE,
    Array,
    Indices,
    capsule_distance,
    gather,
    scene_distance,
    value_noise,
)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def surface_normal(
    capsules: Array, count: int, x: float, y: float, z: float, h: float
) -> tuple[float, float, float]:
    """Return the outward unit normal from four distances around the point."""
    a = scene_distance(capsules, count, x + h, y - h, z - h)
    b = scene_distance(capsules, count, x - h, y - h, z + h)
    c = scene_distance(capsules, count, x - h, y + h, z - h)
    d = scene_distance(capsules, count, x + h, y + h, z + h)
    nx, ny, nz = a - b - c + d, -a - b + c + d, -a + b - c + d
    norm = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
    return nx / norm, ny / norm, nz / norm


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def sunlit(shadow_map: Array, frame: Array, origin: Array, x: float, y: float, z: float, bias: float) -> float:
    """Return the share of sunlight that reaches a point, by four looks into the sun's own depth picture.

    Args:
        shadow_map: [h, w] depth seen from the sun.
        frame: [3, 3] rows are the sun picture's right, up and towards-sun axes.
        origin: left, top, pixel size of the sun picture.
        x: Camera frame.
        y: Camera frame.
        z: Camera frame.
        bias: Metres by which an occluder must stand nearer to the sun.
    """
    lx = frame[0, 0] * x + frame[0, 1] * y + frame[0, 2] * z
    ly = frame[1, 0] * x + frame[1, 1] * y + frame[1, 2] * z
    lz = frame[2, 0] * x + frame[2, 1] * y + frame[2, 2] * z
    u, v = (lx - origin[0]) / origin[2] - 0.5, (origin[1] - ly) / origin[2] - 0.5
    i, j = int(np.floor(u)), int(np.floor(v))
    fu, fv = u - i, v - j
    light = 0.0
    for dj in range(2):
        for di in range(2):
            weight = (fu if di else 1.0 - fu) * (fv if dj else 1.0 - fv)
            jj, ii = j + dj, i + di
            blocked = False
            if 0 <= jj < shadow_map.shape[0] and 0 <= ii < shadow_map.shape[1]:
                blocked = shadow_map[jj, ii] > lz + bias
            if not blocked:
                light += weight
    return light


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def occlusion(
    capsules: Array, count: int, point: Array, normal: Array, up: Array, reach: float
) -> float:
    """Return how open the sky around a point is, 0..1, from the distances met along its normal; the ground counts."""
    blocked, weight = 0.0, 1.0
    for n in range(2):
        h = reach * (0.25, 1.0)[n]
        x, y, z = point[0] + h * normal[0], point[1] + h * normal[1], point[2] + h * normal[2]
        d = min(scene_distance(capsules, count, x, y, z), y * up[1] + z * up[2])
        blocked += weight * max(h - d, 0.0) / h
        weight *= 0.8
    return max(1.0 - 0.75 * blocked / 1.2, 0.08)


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def shade(
    capsules: Array,
    rest: Array,
    material_of: Indices,
    materials: Array,
    coat: Array,
    flows: Array,
    paints: Array,
    depth: Array,
    window: Array,
    shadow_map: Array,
    sun_frame: Array,
    sun_origin: Array,
    lights: Array,
    up: Array,
    individual: Array,
) -> Array:
    """Colour every traced pixel.

    Args:
        capsules: [n, 16] in the camera's frame.
        rest: [n, 3, 4] from the camera's frame back into the drawing.
        material_of: [n] row of ``materials``; row 0 is the patterned coat.
        materials: [m, 5] linear colour, fur strength, gloss.
        coat: See `wildbench.datasets.parksim.coat.coat_tables`.
        flows: Stripe flows of the coat.
        paints: Painted regions of the coat.
        depth: [h, w] traced depth, nan outside.
        window: left, top, pixel size in metres.
        shadow_map: Depth seen from the sun.
        sun_frame: [3, 3] axes of the sun's picture.
        sun_origin: left, top, pixel size of the sun's picture.
        lights: [4, 3] direction to the sun, then sun, sky and ground irradiance.
        up: [3] the world's up in the camera's frame.
        individual: body size in metres, size of a hair tuft in metres, coat shift, brightness.

    Returns:
        [h, w, 3] linear colour.
    """
    height, width = depth.shape
    rgb = np.zeros((height, width, 3))
    near, tile = np.empty(capsules.shape[0], np.int64), np.empty(capsules.shape)
    far, wide = np.empty(capsules.shape[0], np.int64), np.empty(capsules.shape)
    weights = np.empty(materials.shape[0])
    normal, point = np.empty(3), np.empty(3)
    left, top, pixel = window
    size, tuft = individual[0], individual[1]
    reach = 0.16 * size
    for tv in range(0, height, TILE):
        for tu in range(0, width, TILE):
            empty = True
            for j in range(tv, min(tv + TILE, height)):
                for i in range(tu, min(tu + TILE, width)):
                    empty = empty and np.isnan(depth[j, i])
            if empty:
                continue
            middle_x, middle_y = left + (tu + TILE / 2) * pixel, top - (tv + TILE / 2) * pixel
            count = gather(capsules, middle_x, middle_y, 0.75 * TILE * pixel + 0.002 * size, tile, near)
            many = gather(capsules, middle_x, middle_y, 0.75 * TILE * pixel + reach, wide, far)
            for j in range(tv, min(tv + TILE, height)):
                for i in range(tu, min(tu + TILE, width)):
                    z = depth[j, i]
                    if np.isnan(z):
                        continue
                    x, y = left + (i + 0.5) * pixel, top - (j + 0.5) * pixel
                    nx, ny, nz = surface_normal(tile, count, x, y, z, 0.6 * pixel + 0.0008 * size)
                    nz = max(nz, 0.02)
                    normal[0], normal[1], normal[2] = nx, ny, nz
                    point[0], point[1], point[2] = x, y, z
                    opened = occlusion(wide, many, point, normal, up, reach)

                    closest = 1e9
                    for n in range(count):
                        closest = min(closest, capsule_distance(tile, n, x, y, z))
                    weights[:] = 0.0
                    total, qx, qy, qz = 0.0, 0.0, 0.0, 0.0
                    for n in range(count):
                        m = near[n]
                        d = capsule_distance(tile, n, x, y, z) - closest
                        spread = 0.3 * capsules[m, 13] + 0.002 * size
                        if d >= spread:
                            continue
                        w = (1.0 - d / spread) ** 2
                        total += w
                        weights[material_of[m]] += w
                        a = rest[m]
                        qx += w * (a[0, 0] * x + a[0, 1] * y + a[0, 2] * z + a[0, 3])
                        qy += w * (a[1, 0] * x + a[1, 1] * y + a[1, 2] * z + a[1, 3])
                        qz += w * (a[2, 0] * x + a[2, 1] * y + a[2, 2] * z + a[2, 3])
                    qx, qy, qz = qx / total, qy / total, qz / total

                    r, g, b, fur, gloss = 0.0, 0.0, 0.0, 0.0, 0.0
                    for m in range(materials.shape[0]):
                        w = weights[m] / total
                        if w <= 0.0:
                            continue
                        if m == 0:
                            cr, cg, cb = coat_colour(coat, flows, paints, qx, qy, qz, individual[2])
                        else:
                            cr, cg, cb = materials[m, 0], materials[m, 1], materials[m, 2]
                        r, g, b = r + w * cr, g + w * cg, b + w * cb
                        fur, gloss = fur + w * materials[m, 3], gloss + w * materials[m, 4]

                    # Hair lies backwards and down, so tufts are longer along the body than across it.
                    f = 1.0 / max(tuft, 0.8 * pixel)
                    along, across = 0.6 * qx + 0.8 * qy, 0.8 * qx - 0.6 * qy
                    strand = value_noise(along * f * 0.2 + 3.1, across * f, qz * f)
                    second = value_noise(along * f * 0.6 + 9.7, across * f * 1.7, qz * f * 1.7 + 4.3)
                    broad = value_noise(qx * 3.0 / size + 1.7, qy * 7.0 / size, qz * 5.0 / size)
                    tone = (1.0 + fur * (0.9 * (strand - 0.5) + 0.5 * (second - 0.5))) * (0.84 + 0.32 * broad)
                    tone *= individual[3]
                    r, g, b = r * tone, g * tone, b * tone
                    bend = 0.55 * fur
                    nx, ny, nz = nx + bend * (strand - 0.5), ny + bend * (second - 0.5), nz + 0.1 * bend
                    norm = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
                    nx, ny, nz = nx * norm, ny * norm, nz * norm

                    towards = nx * lights[0, 0] + ny * lights[0, 1] + nz * lights[0, 2]
                    # Hair scatters light around the terminator; skin and horn do not.
                    wrap = 0.18 * min(fur * 2.0, 1.0)
                    direct = max(towards + wrap, 0.0) / (1.0 + wrap)
                    if direct > 0.0:
                        bias = 0.012 * size + 1.5 * sun_origin[2]
                        direct *= sunlit(shadow_map, sun_frame, sun_origin, x, y, z, bias)
                    upward = ny * up[1] + nz * up[2]
                    above = y * up[1] + z * up[2]
                    sky = opened * (0.5 + 0.5 * upward)
                    bounce = (0.35 + 0.65 * opened) * (0.5 - 0.5 * upward) * (0.55 + 0.45 * smoothstep(0.0, size, above))
                    rim = (1.0 - max(nz, 0.15)) ** 3 * opened * min(fur * 2.0, 1.0)
                    hx, hy, hz = lights[0, 0], lights[0, 1], lights[0, 2] + 1.0
                    hn = np.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
                    shine = max((nx * hx + ny * hy + nz * hz) / hn, 0.0)
                    shine = gloss * (shine**24 * 0.9 + shine**6 * 0.12) * min(direct * 4.0, 1.0)
                    for c in range(3):
                        albedo = (r, g, b)[c]
                        light = direct * lights[1, c] + sky * lights[2, c] + bounce * lights[3, c]
                        sheen = rim * (0.06 + 0.5 * albedo) * (0.5 * lights[2, c] + 0.25 * direct * lights[1, c])
                        glint = shine * lights[1, c] + gloss * 0.06 * sky * lights[2, c]
                        rgb[j, i, c] = albedo * light + sheen + glint
    return rgb


@njit(cache=True, nogil=True)  # type: ignore[untyped-decorator]
def ground_shadow(
    capsules: Array,
    shadow_map: Array,
    sun_frame: Array,
    sun_origin: Array,
    left: float,
    top: float,
    pixel: float,
    width: int,
    height: int,
    up: Array,
    sun_share: float,
    size: float,
) -> Array:
    """Return the share of light that the animal takes from the ground plane, seen by the camera.

    Args:
        capsules: [n, 16] in the camera's frame.
        shadow_map: Depth seen from the sun.
        sun_frame: [3, 3] axes of the sun's picture.
        sun_origin: left, top, pixel size of the sun's picture.
        left: Left edge of the shadow picture, metres.
        top: Top edge of the shadow picture, metres.
        pixel: Metres per pixel.
        width: Pixels across.
        height: Pixels down.
        up: The world's up in the camera's frame.
        sun_share: Share of the light on open ground that comes from the sun.
        size: Body size in metres.
    """
    dark = np.zeros((height, width))
    for j in range(height):
        y = top - (j + 0.5) * pixel
        z = -y * up[1] / max(up[2], 0.02)
        for i in range(width):
            x = left + (i + 0.5) * pixel
            direct = 0.0
            for s in range(5):
                dx, dz = (0.0, 0.012, -0.012, 0.0, 0.0)[s] * size, (0.0, 0.0, 0.0, 0.012, -0.012)[s] * size
                direct += 0.2 * (1.0 - sunlit(shadow_map, sun_frame, sun_origin, x + dx, y, z + dz, 0.0))
            over = 0.0
            if abs(x) < size and abs(z) < size:
                for h in (0.05, 0.2):
                    d = scene_distance(
                        capsules, capsules.shape[0], x, y + h * size * up[1], z + h * size * up[2]
                    )
                    over += 0.5 * smoothstep(1.1 * h * size, 0.0, d)
            dark[j, i] = 1.0 - (1.0 - sun_share * direct) * (1.0 - 0.75 * over * (1.0 - 0.6 * sun_share))
    return dark
