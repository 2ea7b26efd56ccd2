"""The CUDA bodies in Numba's simulator, which must be chosen before Numba is imported: in processes of their own."""

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def test_checks_pass_in_the_simulator():
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": path}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    running = [
        subprocess.Popen(
            [*command, str(HERE / checks)], env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        for checks in ("simulated_kernels.py", "simulated_training.py")
    ]
    outputs = [process.communicate()[0].decode() for process in running]
    assert [process.returncode for process in running] == [0, 0], "\n".join(outputs)
