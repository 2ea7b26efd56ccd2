"""The peak loop is what it says: multiply-adds on the widest registers, all of them counted, and nothing else."""

import platform
import re

import numba
import pytest
from numba import types

from nbdl.kernels import peak


@pytest.mark.skipif(platform.machine() != "x86_64" or not peak.FUSED, reason="reads x86 assembly")
def test_the_loop_holds_exactly_the_multiply_adds_that_are_counted():
    compiled = numba.njit((types.intp, types.float32))(peak._run)
    (assembly,) = compiled.inspect_asm().values()
    register = {16: "zmm", 8: "ymm", 4: "xmm"}[peak.LANES]
    blocks = [block for block in re.split(r"\n\.LBB\w+:", assembly) if "vfmadd" in block]
    assert len(blocks) in (1, 2), "one loop, or unrolled with its remainder"
    for block in blocks:
        fused = re.findall(r"vfmadd\w+ps\t.*", block)
        assert len(fused) % peak.CHAINS == 0, "whole rounds"
        assert all(line.count(register) == 3 for line in fused), "registers only"
        between = block[block.index("vfmadd") : block.rindex("vfmadd")]
        assert "(%r" not in between, "nothing is loaded or stored between them"


def test_more_threads_than_cores_count_as_the_cores():
    rate = peak.fma_peak(1)
    assert 0 < rate <= peak.fma_peak(10_000) * 4
