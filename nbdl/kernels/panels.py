"""Weights packed in panels, so that all the steps of a recurrence read them in the order in which they lie.

A panel holds all rows of a few columns. For many samples it is as wide as the register tile; for few, when a step is bound
by reading the weights, it is as wide as makes that fast.
"""

from numba.extending import register_jitable

from nbdl.kernels.matmul import multiply
from nbdl.kernels.shared import share
from nbdl.kernels.tile import (
    DEPTH,
    HEIGHT,
    REGISTER_BYTES,
    SIMD,
    VECTORS,
    WIDE_HEIGHT,
    WIDE_VECTORS,
    element_bytes,
    outer_tile,
    pack_turned_panel,
    panel_tile,
    vector_lanes,
)

_LANES = max(16, REGISTER_BYTES) // 4
FEW = 4  # samples from which on a step is a product of matrices, and not of a vector or two with a matrix
PANEL, WIDE = VECTORS * _LANES, WIDE_VECTORS * _LANES  # columns of a panel, for many samples and for few


def packed(batch: int, rows: int, columns: int) -> tuple[int, ...]:
    """The shape of room for a matrix of so many rows and columns as products for `batch` samples read it."""
    width = PANEL if batch >= FEW else WIDE
    return -(-columns // width), rows, width


def packed_both(batch: int, inputs: int, units: int, columns: int) -> tuple[int, ...]:
    """The same for W (inputs, columns) above U (units, columns); few samples take only U from there."""
    return packed(batch, units + (inputs if batch >= FEW else 0), columns)


@register_jitable
def pack(panel, u, number):
    """panel = the columns of U that are panel `number`. Shape: panel (k, width), u (k, n)."""
    first = number * panel.shape[1]
    columns = min(panel.shape[1], u.shape[1] - first)
    for k in range(u.shape[0]):
        target, source = panel[k], u[k, first : first + columns]
        for j in range(columns):
            target[j] = source[j]


@register_jitable
def _pack_turned_plain(panel, u, number):
    first = number * panel.shape[1]
    columns = min(panel.shape[1], u.shape[0] - first)
    for j0 in range(0, columns, 32):  # small blocks that stay in the cache
        for k in range(u.shape[1]):
            target, source = panel[k, j0 : min(j0 + 32, columns)], u[first + j0 : first + columns, k]
            for j in range(target.size):
                target[j] = source[j]


def _pack_turned_block(panel, pitch, u, u_row, depth, columns, like):
    size, width = element_bytes(like), VECTORS * vector_lanes(like)
    for j in range(0, columns, width):
        pack_turned_panel(panel + j * size, pitch, u + j * u_row * size, u_row, depth, min(width, columns - j), like)


def _panels_block(c, c_row, start, start_row, x, x_row, inputs, h, h_row, units, panels, pitch, m, n, like):
    size, lanes = element_bytes(like), vector_lanes(like)
    width, tiles, depth = VECTORS * lanes, (m + HEIGHT - 1) // HEIGHT, inputs + units
    chunks = max(1, (depth + DEPTH - 1) // DEPTH)
    for j in range(0, n, width):
        columns, panel = min(width, n - j), panels + j // width * pitch * size
        for chunk in range(chunks):
            k0, k1 = depth * chunk // chunks, depth * (chunk + 1) // chunks
            x0, h0 = min(k0, inputs), max(k0 - inputs, 0)
            of_x = min(k1, inputs) - x0
            if chunk > 0:
                start, start_row = c, c_row
            i = 0
            for t in range(tiles):
                height = (m - i + tiles - t - 1) // (tiles - t)
                panel_tile(
                    height, (columns + lanes - 1) // lanes, x + (i * x_row + x0) * size, x_row, of_x,
                    h + (i * h_row + h0) * size, h_row, k1 - k0 - of_x, panel + k0 * width * size,
                    start + (i * start_row + j) * size, start_row, c + (i * c_row + j) * size, c_row, columns, like,
                )  # fmt: skip
                i += height


def _few_block(c, c_row, a, a_row, panels, pitch, m, n, k, one):
    size, lanes = element_bytes(one), vector_lanes(one)
    for j in range(0, n, WIDE_VECTORS * lanes):
        panel = panels + j // (WIDE_VECTORS * lanes) * pitch * size
        for i in range(0, m, WIDE_HEIGHT):
            outer_tile(
                min(WIDE_HEIGHT, m - i), WIDE_VECTORS, a + i * a_row * size, a_row, 1, panel, WIDE_VECTORS * lanes, k,
                c + (i * c_row + j) * size, c_row, n - j, one, one,
            )  # fmt: skip


_multiply_few = share("few", _few_block, 9, 1, everywhere=False)
_pack_turned_at = share("pack_turned", _pack_turned_block, 6, 1, everywhere=False)
_multiply_panels = share("panels", _panels_block, 14, 1, everywhere=False)
BLOCKS = ("pack_turned", "panels", "few")


@register_jitable
def _pack_turned_vectors(panel, u, number):
    size, width, like = u.itemsize, panel.shape[1], u.dtype.type(0)
    if u.shape[1] % 16 != 0 or width % 16 != 0:  # only whole squares are turned in registers
        _pack_turned_plain(panel, u, number)
        return
    first, u_row = number * width, u.strides[0] // size
    columns = min(width, u.shape[0] - first)
    _pack_turned_at(panel.ctypes.data, width, u.ctypes.data + first * u_row * size, u_row, u.shape[1], columns, like)


# panel = the columns of transpose(U) that are panel `number`. Shape: panel (k, width), u (n, k).
pack_turned = _pack_turned_plain if SIMD == "plain" else _pack_turned_vectors


@register_jitable
def _begin_plain(c, b, x, h, panels):
    for i in range(c.shape[0]):
        c[i] = b
    for number in range(panels.shape[0]):
        j0, j1 = number * panels.shape[2], min((number + 1) * panels.shape[2], c.shape[1])
        multiply(c[:, j0:j1], x, panels[number, : x.shape[1], : j1 - j0], 1, 1)
        multiply(c[:, j0:j1], h, panels[number, x.shape[1] :, : j1 - j0], 1, 1)


@register_jitable
def _begin_vectors(c, b, x, h, panels):
    # By addresses: slices of arrays would take longer to make than a small product takes.
    size, like = c.itemsize, c.dtype.type(0)
    if panels.shape[2] != VECTORS * vector_lanes(like):  # panels are made for float32
        _begin_plain(c, b, x, h, panels)
        return
    _multiply_panels(
        c.ctypes.data, c.strides[0] // size, b.ctypes.data, 0, x.ctypes.data, x.strides[0] // size, x.shape[1],
        h.ctypes.data, h.strides[0] // size, h.shape[1], panels.ctypes.data, panels.strides[0] // size, c.shape[0],
        c.shape[1], like,
    )  # fmt: skip


@register_jitable
def _add_plain(c, a, panels):
    width = panels.shape[2]
    for number in range(panels.shape[0]):
        j0, j1 = number * width, min((number + 1) * width, c.shape[1])
        multiply(c[:, j0:j1], a, panels[number, :, : j1 - j0], 1, 1)


@register_jitable
def _add_vectors(c, a, panels):
    size, width, one = c.itemsize, panels.shape[2], c.dtype.type(1)
    c_row, a_row, pitch = c.strides[0] // size, a.strides[0] // size, panels.strides[0] // size
    at, theirs = c.ctypes.data, panels.ctypes.data
    if width == VECTORS * vector_lanes(one):
        _multiply_panels(
            at, c_row, at, c_row, a.ctypes.data, a_row, 0, a.ctypes.data, a_row, a.shape[1], theirs, pitch, c.shape[0],
            c.shape[1], one,
        )  # fmt: skip
    elif width == WIDE_VECTORS * vector_lanes(one):
        _multiply_few(at, c_row, a.ctypes.data, a_row, theirs, pitch, c.shape[0], c.shape[1], a.shape[1], one)
    else:
        _add_plain(c, a, panels)


# C = b + X W + H U for one step, from panels that hold W above U. Shape: c (m, n), b (n), x (m, inputs), h (m, units).
begin_product = _begin_plain if SIMD == "plain" else _begin_vectors
# C += A U from the panels of U, or A transpose(U) from those of transpose(U). Shape: c (m, n), a (m, k).
add_product = _add_plain if SIMD == "plain" else _add_vectors
