"""`nbdl doctor`: what this machine has, and what nbdl makes of it."""

import click

from nbdl_cli.options import json_option


@click.command()
@click.option("--threads", type=int, metavar="N", help="CPU threads  [default: all cores]")
@json_option
def command(threads, as_json):
    """Show versions, processor, threads, GPU, folders and the measured peak of this machine."""
    from nbdl_cli import console

    found = _examine(threads)
    if as_json:
        console.emit_json({"schema": "nbdl.doctor/1", **found})
        return
    from rich.table import Table
    from rich.text import Text

    from nbdl_cli.drawing import figures

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, version in found["versions"].items():
        table.add_row(name, version or "not installed")
    table.add_row("processor", f"{found['processor']}, {found['cores']} cores")
    simd = found["simd"]
    table.add_row("SIMD", f"{simd['name']}, {simd['float32_lanes']} float32 at once")
    table.add_row("threads", f"{found['threads']}, {found['threading_layer']} threading layer")
    peak = found["peak_flops"]
    table.add_row("peak, 1 core", f"{figures.flops_rate(peak['one_core'])} (measured, float32 fused multiply-add)")
    table.add_row("peak, all threads", figures.flops_rate(peak["all_threads"]))
    table.add_row("CUDA", Text(found["cuda"]["device"] or f"no: {found['cuda']['reason']}"))
    table.add_row("kernel cache", found["kernel_cache"] or "none: no folder can be written, so every run compiles")
    table.add_row("data cache", found["data_cache"])
    console.out().print(table)


def _examine(threads):
    import os
    import platform
    from importlib.metadata import PackageNotFoundError, version

    import numba
    import numpy as np

    import nbdl
    from nbdl import cuda
    from nbdl.kernel import cache_folder
    from nbdl.kernels.matmul import matmul
    from nbdl.kernels.peak import fma_peak
    from nbdl.kernels.tile import REGISTER_BYTES, SIMD
    from nbdl.training import set_threads
    from nbdl_datasets import cache_folder as data_cache

    threads = set_threads(threads)
    a = np.zeros((2, 2), np.float32)
    matmul.bind("serial", a.copy(), a, a)
    peak = {"one_core": fma_peak(1), "all_threads": fma_peak(threads)}
    works, reason = cuda.available()

    def installed(name):
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    versions = {"nbdl": nbdl.__version__, "python": platform.python_version()}
    versions |= {name: installed(name) for name in ("numpy", "numba", "llvmlite", "numba-cuda")}
    folder = cache_folder(matmul._dispatchers["serial"])
    return {
        "versions": versions,
        "processor": _processor() or platform.machine(),
        "cores": os.cpu_count(),
        "simd": {"name": SIMD, "float32_lanes": max(1, REGISTER_BYTES // 4)},
        "threads": threads,
        "threading_layer": numba.threading_layer(),
        "peak_flops": peak,
        "cuda": {"available": works, "device": cuda.device_name() if works else None, "reason": reason},
        "kernel_cache": str(folder) if folder else None,
        "data_cache": str(data_cache()),
    }


def _processor():
    import platform

    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
