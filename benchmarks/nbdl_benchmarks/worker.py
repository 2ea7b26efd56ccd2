"""The process of one contender: builds it, then runs as many steps as it is asked to, and says how long they took.

`python -m nbdl_benchmarks.worker MODULE:FUNCTION ARGUMENTS THREADS`, with the arguments as a JSON list, prints the
contender's name and version and answers each line of JSON with one line of JSON.
"""

import ctypes
import json
import signal
import sys
import time
import warnings
from importlib import import_module
from typing import Any

from nbdl.errors import NbdlError

PR_SET_PDEATHSIG = 1  # Linux: the signal to get when the parent ends, which a stopped process would not notice


def main() -> None:
    builder, arguments, threads = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    warnings.simplefilter("ignore")
    answers, sys.stdout = sys.stdout, sys.stderr  # whatever a library prints must not mix with the answers

    def answer(found: dict[str, Any]) -> None:
        print(json.dumps(found), file=answers, flush=True)

    module, function = builder.split(":")
    build = getattr(import_module(module), function)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)
    try:
        contender = build(*arguments)
    except NbdlError as error:
        return answer({"error": str(error)})
    answer({"name": contender.name, "version": contender.version})
    for line in sys.stdin:
        question = json.loads(line)
        if "run" in question:
            start, worked = time.perf_counter(), time.process_time()
            contender.run(question["run"])
            answer({"seconds": time.perf_counter() - start, "worked": time.process_time() - worked})
        else:
            answer({"result": [float(value) for array in contender.result() for value in array.flat]})
    return None


if __name__ == "__main__":
    main()
