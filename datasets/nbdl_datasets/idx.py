"""The idx format of MNIST: a magic number, the dimensions, then plain bytes; gzipped or not.

Bytes 0 and 1 are zero, byte 2 names the type (8: unsigned byte), byte 3 counts the dimensions, each a big-endian 32-bit
number. Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database.
"""

import gzip
import struct
import zlib
from math import prod
from pathlib import Path

import numpy as np

from nbdl.errors import NbdlError

CHUNK = 1 << 20
LARGEST = 4 << 30  # bytes: no idx file that people share is larger


def read(path: Path, dimensions: int) -> np.ndarray:
    """An unsigned-byte array with so many dimensions.

    Nothing is allocated on the word of the header: the bytes are read in pieces and counted first.
    Raises NbdlError for a wrong magic number, a header that promises more or less than there is, and damaged gzip.
    """
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if zipped else path.open("rb") as file:  # type: ignore[assignment]
            head = file.read(4 + 4 * dimensions)
            if len(head) < 4 or head[:3] != b"\0\0\x08" or head[3] != dimensions:
                raise NbdlError(
                    f"{path} starts with {head[:4].hex(' ') or 'nothing'}; an idx file of bytes with {dimensions} "
                    f"dimensions starts with 00 00 08 0{dimensions}."
                )
            if len(head) < 4 + 4 * dimensions:
                raise NbdlError(f"{path} is cut off inside its header.")
            shape = struct.unpack(f">{dimensions}I", head[4:])
            promised, pieces, got = prod(shape), [], 0
            if promised > LARGEST:
                raise NbdlError(
                    f"{path} promises {promised / 2**30:,.1f} GB; that is not a data set but a damaged header."
                )
            while got <= promised and (piece := file.read(min(CHUNK, promised + 1 - got))):
                pieces.append(piece)
                got += len(piece)
    except (OSError, EOFError, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise NbdlError(f"there is no file {path}.") from None
        raise NbdlError(f"{path} cannot be read to its end ({error}); fetch it again.") from None
    if got != promised:
        more = "more" if got > promised else f"only {got:,}"
        raise NbdlError(
            f"{path} promises {promised:,} bytes ({' x '.join(map(str, shape))}) and holds {more}; fetch it again."
        )
    return np.frombuffer(b"".join(pieces), np.uint8).reshape(shape)
