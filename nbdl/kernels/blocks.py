"""What the threads of one CUDA block do together: add up their values, find the largest, multiply tiles of matrices.

Every thread of the block must call these. Sums run in a fixed order, so that they have the same bits on every run.
The functions at the end give launch sizes as (blocks, threads a block).
"""

from nbdl.kernel import cuda

BLOCK = 256  # threads a block at most

# A block makes a TILE x TILE piece of a product, DEPTH steps of k at a time: LINE x LINE threads with EACH x EACH sums,
# so that a value read from shared memory is used EACH times.
TILE, EACH, DEPTH = 32, 4, 16
LINE = TILE // EACH
PITCH = TILE + 1  # one element more than a row needs, so that a column spreads over all memory banks


def block_sum(value, like):
    """The sum of `value` over the threads of the block, a power of two; `like` is an array of the same element type."""
    shared = cuda.shared.array(BLOCK, like.dtype)
    thread, half = cuda.threadIdx.x, cuda.blockDim.x // 2
    shared[thread] = value
    cuda.syncthreads()
    while half > 0:
        if thread < half:
            shared[thread] += shared[thread + half]
        cuda.syncthreads()
        half //= 2
    total = shared[0]
    cuda.syncthreads()  # the next call may overwrite
    return total


def block_max(value, like):
    """The largest `value` of the threads of the block, a power of two."""
    shared = cuda.shared.array(BLOCK, like.dtype)
    thread, half = cuda.threadIdx.x, cuda.blockDim.x // 2
    shared[thread] = value
    cuda.syncthreads()
    while half > 0:
        if thread < half:
            shared[thread] = max(shared[thread], shared[thread + half])
        cuda.syncthreads()
        half //= 2
    highest = shared[0]
    cuda.syncthreads()
    return highest


def tile_row(r):
    """Row of the product that holds this thread's sums [r, :]."""
    return cuda.blockIdx.y * TILE + cuda.threadIdx.y + r * LINE


def tile_column(s):
    """Column of the product that holds this thread's sums [:, s]."""
    return cuda.blockIdx.x * TILE + cuda.threadIdx.x + s * LINE


def multiply_tile(sums, a, b):
    """sums[r, s] = (A B)[tile_row(r), tile_column(s)]; either matrix may be a transposed view.

    Shape: sums (EACH, EACH), local to the thread; a (m, k), b (k, n).
    """
    ours = cuda.shared.array((DEPTH, PITCH), a.dtype)
    theirs = cuda.shared.array((DEPTH, PITCH), b.dtype)
    x, y = cuda.threadIdx.x, cuda.threadIdx.y
    top, left = cuda.blockIdx.y * TILE, cuda.blockIdx.x * TILE
    zero = a.dtype.type(0)
    for r in range(EACH):
        for s in range(EACH):
            sums[r, s] = zero
    for start in range(0, a.shape[1], DEPTH):
        for element in range(y * LINE + x, DEPTH * TILE, LINE * LINE):
            # Neighbouring threads read neighbouring elements, along whichever axis of the matrix they lie.
            if a.strides[1] == a.itemsize:
                i, k = element // DEPTH, element % DEPTH
            else:
                i, k = element % TILE, element // TILE
            inside = top + i < a.shape[0] and start + k < a.shape[1]
            ours[k, i] = a[top + i, start + k] if inside else zero
            if b.strides[1] == b.itemsize:
                k, j = element // TILE, element % TILE
            else:
                k, j = element % DEPTH, element // DEPTH
            inside = start + k < b.shape[0] and left + j < b.shape[1]
            theirs[k, j] = b[start + k, left + j] if inside else zero
        cuda.syncthreads()
        for k in range(DEPTH):
            for r in range(EACH):
                for s in range(EACH):
                    sums[r, s] += ours[k, y + r * LINE] * theirs[k, x + s * LINE]
        cuda.syncthreads()


def threads_for(n: int) -> int:
    """Threads of a block for n elements: the power of two that holds them, BLOCK at most."""
    return min(BLOCK, 1 << max(0, n - 1).bit_length())


def a_thread_each(array, *_) -> tuple[int, int]:
    """One thread for each element of the first array."""
    threads = threads_for(array.size)
    return -(-array.size // threads), threads


def a_block_each_row(array, *_) -> tuple[int, int]:
    """One block for each row of the first array."""
    return array.shape[0], threads_for(array.shape[1])


def a_block_each_tile(array, *_) -> tuple[tuple[int, int], tuple[int, int]]:
    """One block for each tile of the first array."""
    rows, columns = array.shape
    return (-(-columns // TILE), -(-rows // TILE)), (LINE, LINE)
