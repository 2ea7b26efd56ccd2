"""`nbdl inspect`: what a saved network does with one sample, layer by layer."""

from typing import Any

import click

from nbdl.errors import NbdlError
from nbdl_cli.options import json_option

SEARCHED = 256  # test examples, for those that excite a map most
TRIED = 64  # test examples, for one that the network gets right


@click.command()
@click.argument("checkpoint", type=click.Path())
@click.argument("input_", metavar="[INPUT]", required=False, type=click.Path())
@click.option("--sample", type=int, metavar="N", help="Number of a test example  [default: the first it gets right]")
@click.option("--layer", metavar="NAME|N", help="One layer only, with all of its maps.")
@click.option("--map", "map_", type=int, metavar="N", help="One map of that layer, and what excites it most.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="Maps of a layer  [default: as many as fit]")
@click.option("--svg", metavar="FILE", help="Write the page as SVG as well.")
@click.option("--png", metavar="FILE", help="Write the page as PNG as well.")
@json_option
def command(checkpoint, input_, sample, layer, map_, count, svg, png, as_json):
    """Look into the network in CHECKPOINT while it looks at one sample: filters, maps, pooling, windows.

    INPUT is a file with one sample (.npz, .npy, .csv, .wav, .pgm, .ppm; with Pillow .png and .jpg); without it a test
    example is taken.
    """
    from nbdl import load_checkpoint
    from nbdl.inspection import inspect, strongest
    from nbdl_cli import console, inspection

    if input_ is not None and sample is not None:
        raise click.UsageError("give a file or --sample, not both.")
    saved = load_checkpoint(checkpoint)
    about = saved.extra.get("experiment")
    if about is None:
        raise NbdlError(f"{checkpoint} was not written by `nbdl train --save`: it does not say what its inputs mean.")
    data, model = about["dataset"], saved.model
    if data["kind"] == "text" or any(hasattr(one, "return_sequences") for one in model.layers):
        raise NbdlError(
            f"the network in {checkpoint} reads step by step: it has no maps to look at. nbdl generate lets one that learnt "
            "from a text write, nbdl predict shows what others say."
        )
    seen = {"offset": data["offset"], "scale": data["scale"]}
    place = _place(model, layer, map_)
    test: Any = None
    if input_ is None or map_ is not None:
        test = _test_set(about, model, checkpoint, needed=input_ is None)
    if input_ is None:
        sample = _chosen(sample, test, saved, seen)
        x, truth, what = test.inputs[sample], test.targets[sample], f"test example {sample} of {data['name']}"
    else:
        from nbdl_datasets.samples import read

        x, truth, what = read(input_, model.input_shape, kind=data["kind"], **seen), None, input_

    found = inspect(model, saved.loss, x, **seen)
    outputs = found[-1].y.reshape(1, -1)
    classifies = saved.loss.classifies
    probabilities = saved.loss.probabilities(outputs)[0] if classifies else None
    if place is not None and map_ is not None and not 0 <= map_ < len(found[place.number].y):
        raise NbdlError(f"--map {map_}: {place.name} has the maps 0 to {len(found[place.number].y) - 1}.")
    best = []
    if map_ is not None and place is not None and test is not None:
        searched = test.inputs[:SEARCHED]
        ranking = strongest(model, saved.loss, searched, place, map_, 8, **seen)
        best = [(n, peak, searched[n]) for n, peak in ranking]
    if as_json:
        document = {
            "schema": "nbdl.inspect/1", "checkpoint": str(checkpoint), "input": what,
            "sample": sample, "truth": truth, "classes": data["classes"], "outputs": outputs[0],
            "probabilities": probabilities,
            "layers": [_described(one, map_, place is not None) for one in found if place in (None, one.place)],
        }  # fmt: skip
        if map_ is not None:
            document["strongest"] = [{"sample": n, **_described_peak(peak)} for n, peak, _ in best]
        console.emit_json(document)
        if svg is None and png is None:
            return
    page = inspection.Page(x, data["kind"], detail=place is not None)
    names = data["classes"]
    bars: list[tuple[str, float]] = []
    if classifies:
        words, bars = inspection.verdict(probabilities, names, None if truth is None else int(truth))
    else:
        words = f"The network says {', '.join(f'{v:.4g}' for v in outputs[0])}."
    sections = [inspection.first_section(page, what, words, bars)]
    if place is not None and count is None:
        count = len(found[place.number].y)
    first = next((one for one in found if one.weights is not None and one.y.ndim > 1), None)
    for one in found:
        if place in (None, one.place):
            last = one is found[-1]
            section = inspection.layer_section(page, one, last, map_, count, one is first)
            sections += [section] if section else []
    if best:
        sections.append(inspection.strongest_section(page, place.name, map_, len(test.inputs[:SEARCHED]), best))
    if not as_json:
        out = console.out()
        for number, section in enumerate(sections):
            if number:
                out.print()
            out.print(section)
    if svg is not None or png is not None:
        from nbdl.files import write_atomically
        from nbdl_cli.drawing.sheet import Sheet

        sheet = Sheet(f"nbdl inspect {checkpoint}", sections)
        for file, content in ((svg, sheet.svg), (png, sheet.png)):
            if file is not None:
                write_atomically(file, content())
                if not as_json:
                    console.err().print(f" written {file}", soft_wrap=True)


def _place(model, layer: str | None, map_: int | None):
    """The layer that was asked for: by name, by number, or for a map alone the first that has filters."""
    if layer is None:
        if map_ is None:
            return None
        return next((p for p in model.places if "w" in p.layer.parameters(p.in_shape)), model.places[0])
    for place in model.places:
        if layer in (place.name, str(place.number + 1)):
            return place
    names = ", ".join(f"{place.number + 1} {place.name}" for place in model.places)
    raise NbdlError(f"--layer {layer}: this network has {names}.")


def _test_set(about, model, checkpoint, needed: bool):
    from nbdl_datasets import load

    data = about["dataset"]
    try:
        found = load(data["name"], seed=about["seed"], download=False)
    except NbdlError as error:
        if not needed:
            return None
        raise NbdlError(f"{error} Or give a file with one sample: nbdl inspect {checkpoint} FILE.") from None
    if found.input_shape != model.input_shape:
        raise NbdlError(
            f"{found.name} has samples of shape {found.input_shape}; the network in {checkpoint} takes {model.input_shape}."
        )
    return found.test


def _chosen(sample: int | None, test, saved, seen) -> int:
    """Number of the test example: the one asked for, or the first that the network gets right."""
    if sample is not None:
        if not 0 <= sample < len(test):
            raise NbdlError(f"--sample {sample}: the test examples are numbered 0 to {len(test) - 1}.")
        return sample
    if not saved.loss.classifies:
        return 0
    from nbdl.inspection import outputs

    for number in range(min(TRIED, len(test))):
        said = saved.loss.predictions(outputs(saved.model, saved.loss, test.inputs[number : number + 1], **seen))
        if int(said[0]) == int(test.targets[number]):
            return number
    return 0


def _described_peak(peak) -> dict[str, Any]:
    return {"value": peak.value, "cell": peak.cell, "window": peak.window}


def _described(one, map_: int | None, asked: bool) -> dict[str, Any]:
    """A layer as plain data; the weights of a dense layer only where that layer was asked for."""
    from nbdl.layers import describe

    pick = slice(None) if map_ is None else slice(map_, map_ + 1)
    weights = one.weights if asked or one.y.ndim > 1 or one.place.number < 2 else None
    numbers = range(len(one.y)) if map_ is None else [map_]
    found: dict[str, Any] = {
        "name": one.place.name, **describe(one.place.layer), "input_shape": one.place.in_shape,
        "output_shape": one.place.out_shape, "filters": None if weights is None else weights[pick], "maps": one.y[pick],
        "peaks": [{"map": k, **_described_peak(one.peaks[k])} for k in numbers],
    }  # fmt: skip
    if one.kept is not None:
        found["kept"] = one.kept[pick]
    return found
