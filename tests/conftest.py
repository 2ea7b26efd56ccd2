"""Settings that must stand before Numba starts."""

import os

os.environ.setdefault("NUMBA_NUM_THREADS", "4")
