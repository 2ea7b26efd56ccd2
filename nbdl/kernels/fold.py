"""A convolution's reverse in two halves: all products first, then each cell adds up those that fall on it (col2im).

    p[c, t, q] = sum over f of w[f, c, t] x[f, q]        y[c, i] = sum over t, q with q + t - padding = i of p[c, t, q]

The product has no border, so where the maps of x are small it multiplies far less than windows on a bordered x would, and
its vectors are full. What it costs is to write the products and to read them again.

Steps and dilations of 1, one plane. Shape: x (F, H', W'), y (C, H, W), w (F, C, kernel), p (C x taps, pitch).
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, register_jitable

from nbdl.kernels.matmul import multiply_at
from nbdl.kernels.tile import _element, _Emitter, element_bytes, vector_lanes

MOST = 1 << 16  # products of one sample: they should stay in the second-level cache
MARGIN = 16  # numbers before and behind the products that a vector may reach over, though it uses none


@register_jitable
def pitch_of(pixels, lanes):
    """From one row of products to the next, in whole vectors."""
    return (pixels + lanes - 1) // lanes * lanes


@register_jitable
def folds(y, x, w, spec, lanes):
    """Whether the reverse from x to y takes fewer vector operations so than by windows that are read line by line."""
    if spec[0] * spec[1] * spec[2] * spec[6] * spec[7] * spec[8] > 1 or w.shape[2] > 1 or spec[3] > 0 or y.shape[2] > 1:
        return False
    taps, channels, filters = w.shape[3] * w.shape[4], w.shape[1], w.shape[0] // spec[9]
    pitch, vectors = pitch_of(x.shape[3] * x.shape[4], lanes), y.shape[3] * ((y.shape[4] + lanes - 1) // lanes)
    by_windows = vectors * filters * taps * max(channels, 3)  # few channels leave a tile waiting for its own sums
    by_folding = channels * taps * (filters * pitch // lanes + 3 * vectors)
    return channels * taps * pitch <= MOST and by_folding < by_windows


@register_jitable
def fold_room(y, x, w, spec, lanes):
    """Numbers that one sample's products take."""
    return spec[9] * (w.shape[1] * w.shape[3] * w.shape[4] * pitch_of(x.shape[3] * x.shape[4], lanes) + 2 * MARGIN)


@intrinsic
def add_shifted(typingctx, y, height, width, p, p_row, lines, across, kernel_y, kernel_x, padding_y, padding_x, like):
    """One map y[i, k] = sum over taps (r, s) of p[r, s][i - r + padding_y, k - s + padding_x], where that exists."""
    element = _element(like)
    signature = types.void(*([types.intp] * 11), element)

    def codegen(context, builder, signature, arguments):
        e = _Emitter(builder, element)
        y, height, width, p, p_row, lines, across, kernel_y, kernel_x, padding_y, padding_x, _ = arguments
        y, p = (builder.inttoptr(address, e.scalar.as_pointer()) for address in (y, p))
        numbers = ir.VectorType(e.i32, e.lanes)
        lane = ir.Constant(numbers, list(range(e.lanes)))
        end = e.splat(builder.trunc(across, e.i32), numbers)
        zero = e.index(0)

        def least(a, b):
            return builder.select(builder.icmp_signed("<", a, b), a, b)

        def line(i, _):
            low = builder.sub(builder.add(i, padding_y), builder.sub(lines, e.index(1)))
            low = builder.select(builder.icmp_signed("<", low, zero), zero, low)
            high = least(kernel_y, builder.add(builder.add(i, padding_y), e.index(1)))

            def vector(k, _):
                def column(s, total):
                    shift = builder.add(builder.sub(k, s), padding_x)
                    # Unsigned, so that what lies before the line is as far away as what lies behind it.
                    there = builder.add(lane, e.splat(builder.trunc(shift, e.i32), numbers))
                    mask = builder.icmp_unsigned("<", there, end)

                    def row(r, total):
                        tap = builder.add(builder.mul(r, kernel_x), s)
                        source = builder.mul(builder.sub(builder.add(i, padding_y), r), across)
                        source = builder.add(builder.add(builder.mul(tap, p_row), source), shift)
                        return [builder.fadd(total[0], e.load(e.at(p, source), mask))]

                    return e.loop(low, high, 1, total, row)

                (total,) = e.loop(zero, kernel_x, 1, [e.zero], column)
                place = e.at(y, builder.add(builder.mul(i, width), k))
                e.store(total, place, e.mask(builder.sub(width, k), 0))
                return []

            e.loop(zero, width, e.lanes, [], vector)
            return []

        e.loop(zero, height, 1, [], line)
        return context.get_dummy_value()

    return signature, codegen


@register_jitable
def fold(y, cells, x, pixels, w, filters, room, c0, c1, all_channels, taps, sizes, paddings, like):
    """Channels `c0` to `c1` of one sample, or of one group of it; addresses y (channel 0), x, w and room (of the sample).

    `all_channels` is how many w has; `sizes` (H, W, H', W') and `taps` (kernel height, width) of the picture.
    """
    size, lanes, several = element_bytes(like), vector_lanes(like), taps[0] * taps[1]
    pitch = pitch_of(pixels, lanes)
    products = room + MARGIN * size
    multiply_at(
        products + c0 * several * pitch * size, pitch, w + c0 * several * size, 1, all_channels * several, x, pixels,
        (c1 - c0) * several, pixels, filters, like, like * 0,
    )  # fmt: skip
    for c in range(c0, c1):
        add_shifted(
            y + c * cells * size, sizes[0], sizes[1], products + c * several * pitch * size, pitch, sizes[2], sizes[3],
            taps[0], taps[1], paddings[0], paddings[1], like,
        )  # fmt: skip
