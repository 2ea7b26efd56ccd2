"""From what the layers did with a sample to a page of sections: shared by the terminal, SVG and PNG."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nbdl_cli.drawing import figures
from nbdl_cli.drawing.cards import Card, Section
from nbdl_cli.drawing.plate import Plate, largest, mosaic

if TYPE_CHECKING:
    from nbdl.inspection import Inspected, Peak

FRAMES = 4  # of a film are drawn
CHANNELS = {1: 8, 2: 9, 3: 3}  # of a filter that looks at many maps are drawn, unless it is asked for


def size(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape))


class Page:
    """Draws what belongs to one sample; `kind` is the data set's word for it (image, spectrogram, video, sound, ...)."""

    def __init__(self, sample: Any, kind: str, detail: bool = False):
        import numpy as np

        self.sample, self.kind, self.detail = np.asarray(sample, float), kind, detail
        self.axes = {"sound": 1, "image": 2, "spectrogram": 2, "video": 3}.get(kind, 0)

    def flat(self, one: Any, frame: int = 0) -> Any:
        """A map of one, two or three axes as rows and columns; of a film some frames side by side, `frame` among them."""
        if one.ndim < 2:
            return one.reshape(1, -1)
        if one.ndim == 2:
            return one[::-1] if self.kind == "spectrogram" else one  # low pitches below
        return mosaic([one[n] for n in self.frames(len(one), frame)], FRAMES)

    @staticmethod
    def frames(count: int, wanted: int) -> list[int]:
        """Numbers of frames, evenly spread; the nearest of them gives way to the one that is wanted."""
        if count <= FRAMES:
            return list(range(count))
        found = [round(n * (count - 1) / (FRAMES - 1)) for n in range(FRAMES)]
        found[min(range(FRAMES), key=lambda n: abs(found[n] - wanted))] = wanted
        return found

    def input(self, window: Any = None, sample: Any = None, frame: int | None = None) -> Plate | None:
        """The sample with the cells of a window lit."""
        import numpy as np

        if not self.axes:
            return None
        sample = self.sample if sample is None else np.asarray(sample, float)
        cells = sample.shape[-self.axes :]
        lit = None
        if window is not None:
            lit = np.zeros(cells)
            lit[tuple(slice(first, behind) for first, behind in window)] = 1
            frame = (window[0][0] + window[0][1]) // 2 if frame is None else frame
        lit = None if lit is None else np.nan_to_num(self.flat(lit, frame or 0)) > 0
        if self.kind == "sound":
            values = np.abs(sample).reshape(-1, cells[0]).max(axis=0)[None]
            return Plate(values, largest(values), "input", lit, strip=True)
        sample = sample - min(0.0, float(sample.min()))
        if sample.ndim == self.axes + 1 and len(sample) == 3 and self.axes == 2:
            return Plate(sample.transpose(1, 2, 0) / largest(sample), 1.0, "input", lit)
        one = sample[0] if sample.ndim > self.axes else sample
        return Plate(self.flat(one, frame or 0), largest(one), "input", lit, whole=self.axes == 3)

    def map(self, one: Any, top: float, lit: Any = None, frame: int = 0, whole: bool = False) -> Plate:
        import numpy as np

        shown = None if lit is None else np.nan_to_num(self.flat(lit.astype(float), frame)) > 0
        return Plate(self.flat(one, frame), top, "map", shown, strip=one.ndim < 2, whole=whole or one.ndim == 3)

    def filter(self, w: Any, top: float) -> Plate:
        """One filter, (channels, ...): its channels as tiles; of many only those with the largest weights."""
        import numpy as np

        chosen = np.arange(len(w))
        most = len(w) if self.detail else CHANNELS[max(1, w.ndim - 1)]
        if len(w) > most:
            chosen = np.sort(np.argsort(-np.abs(w.reshape(len(w), -1)).sum(axis=1), kind="stable")[:most])
        if w.ndim == 2:
            picture = w[chosen]
            return Plate(picture.repeat(2, axis=0) if len(picture) == 1 else picture, top, "weights", whole=True)
        if w.ndim == 4:
            return Plate(mosaic([frame for c in chosen for frame in w[c]], w.shape[1]), top, "weights")
        across = len(chosen) if len(chosen) <= 3 else int(np.ceil(np.sqrt(len(chosen))))
        return Plate(mosaic([self.flat(w[c]) for c in chosen], across), top, "weights")


def first_section(page: Page, what: str, verdict: str, bars: Sequence[tuple[str, float]]) -> Section:
    """The sample, and what the network makes of it."""
    plate = page.input()
    sentence = f"{verdict} " if verdict else ""
    sentence += {
        "sound": "The strip is how loud the sound is, from its beginning to its end.",
        "spectrogram": "Time runs to the right, pitch upwards; what is loud is bright.",
        "video": "Some frames of the film, from left to right.",
    }.get(page.kind, "")
    rows = ["input"] if plate else []
    return Section(
        what, sentence.strip(), rows, [Card("", 1.0, [plate])] if plate else [], bars=bars, detail=True, neat=28
    )


# What stands for what, in colours and without.
SIGNS = "Orange is above 0, blue below, dark is 0.", "++ and + are above 0, -- and - below, . is about 0."
LIT = "The lit part of the input is the window", "Where the input has two characters a cell is the window"
KEPT = "it keeps its colour in the map before, the others are grey.", "it has two characters in the map before."


def without_colours(sentence: str) -> str:
    """The same sentence, for pictures of characters."""
    for colour, plain in (SIGNS, LIT, KEPT):
        sentence = sentence.replace(colour, plain)
    return sentence


def layer_section(
    page: Page, one: "Inspected", last: bool, number: int | None, count: int | None, first: bool
) -> Section | None:
    """What one layer did; None for those that change nothing."""
    layer, place, kind = one.place.layer, one.place, type(one.place.layer).__name__
    if kind in ("Flatten", "Dropout", "Reshape"):
        return None
    chosen = range(len(one.y)) if number is None else [number]
    activation = getattr(layer, "activation", "linear")
    after = f", {activation}" if activation != "linear" else ""
    more = f"--layer {place.name} shows all"
    options: dict[str, Any] = {"most": count, "more": more, "detail": page.detail and number is not None}
    if one.y.ndim > 1 and one.kept is not None:
        return _pooling(page, one, chosen, options)
    if one.y.ndim > 1 and one.weights is not None:
        w, top, high = one.weights, largest(one.weights), largest(one.y)
        kernel, channels = w.shape[2:], w.shape[1]
        title = f"{place.name}: {len(w)} filters of {size(kernel)}{after}, {len(w)} maps of {size(one.y.shape[1:])}"
        sentence = "A filter slides over what comes before it; in each place it multiplies cell by cell and adds up. "
        if first:
            sentence += "Its tiles look at red, green and blue. " if channels == 3 and page.kind == "image" else ""
            sentence += f"{SIGNS[0]} The map shows how well the filter fits, place by place. "
            sentence += f"{LIT[0]} that excites the map most. "
            sentence += "On top: the map's number, and its largest value."
        else:
            drawn = CHANNELS[w.ndim - 2]
            sentence = f"Each filter looks at all {channels} maps before it at once, with a tile of weights for each"
            few = channels > drawn and not page.detail
            sentence += f"; the {drawn} with the largest weights are drawn. " if few else ". "
            sentence += "Its window on the input has grown."
        cards = []
        for k in chosen:
            peak = one.peaks[k]
            frame = peak.cell[0] if len(peak.cell) == 3 else 0
            where = page.input(peak.window) if peak.value > 0 and page.axes else None
            plates = [page.filter(w[k], top), page.map(one.y[k], high, frame=frame), where]
            cards.append(Card(f"{k}: {peak.value:.2f}" if peak.value > 0 else f"{k}: silent", peak.value, plates))
        return Section(title, sentence, ["filter", "map", "window"], cards, plain=without_colours(sentence), **options)
    if one.y.ndim > 1:
        high = largest(one.y)
        title = f"{place.name}: {len(one.y)} maps of {size(one.y.shape[1:])}"
        cards = [Card(f"{k}: {one.peaks[k].value:.2f}", one.peaks[k].value, [page.map(one.y[k], high)]) for k in chosen]
        return Section(title, "", ["map"], cards, **options)
    return _units(page, one, after, last, chosen, options)


def _pooling(page: Page, one: "Inspected", chosen: Sequence[int], options: dict[str, Any]) -> Section:
    layer, place = one.place.layer, one.place
    high = largest(one.x)
    window = getattr(layer, "size", None)
    window = size((window,) * (one.y.ndim - 1) if isinstance(window, int) else window or one.x.shape[1:])
    title = f"{place.name}: {len(one.y)} maps of {size(one.x.shape[1:])} become {size(one.y.shape[1:])}"
    wins = "Max" in type(layer).__name__
    if wins:
        sentence = f"Of every {window} cells the largest goes on: {KEPT[0]}"
    else:
        sentence = f"Of every {window} cells the mean goes on."
    assert one.kept is not None
    cards = []
    x = one.x.reshape(-1, *one.x.shape[-(one.y.ndim - 1) :])
    kept = one.kept.reshape(x.shape)
    for k in chosen:
        frame = one.peaks[k].cell[0] if one.y.ndim == 4 else 0
        before = page.map(x[k], high, kept[k] > 0 if wins else None, frame, whole=True)
        value = one.peaks[k].value
        cards.append(Card(f"{k}: {value:.2f}", value, [before, page.map(one.y[k], high, frame=frame)]))
    return Section(title, sentence, ["before", "after"], cards, plain=without_colours(sentence), **options)


def _units(page: Page, one: "Inspected", after: str, last: bool, chosen: Sequence[int], options: dict) -> Section:
    """A layer without maps: its units, and their weights where those make a picture."""
    place = one.place
    n = len(one.y)
    if one.weights is None:
        sentence = "The mean of every map." if "Average" in type(place.layer).__name__ else ""
        return Section(f"{place.name}: {n} numbers", sentence, ["value"], [_row(one.y)])
    units = ("output" if last else "unit") + ("" if n == 1 else "s")
    title = f"{place.name}: {n} {units}{after}; each weighs all {size(place.in_shape)} numbers before it and adds up"
    if one.weights.ndim < 4 or min(one.weights.shape[2:]) < 2:
        return Section(title, "The largest wins." if last and n > 1 else "", ["value"], [_row(one.y)])
    shape = one.weights.shape[1:]
    sentence = f"Its weights lie as what they weigh, {size(shape[1:])}"
    sentence += f" for each of {shape[0]} maps. " if shape[0] > 1 else ". "
    few = shape[0] > CHANNELS[len(shape) - 1] and not page.detail
    sentence += f"The {CHANNELS[len(shape) - 1]} maps with the largest weights are drawn. " if few else ""
    sentence += SIGNS[0]
    top = largest(one.weights)
    cards = [Card(f"{k}: {one.y[k]:.2f}", float(one.y[k]), [page.filter(one.weights[k], top)]) for k in chosen]
    return Section(title, sentence, ["weights"], cards, plain=without_colours(sentence), **options)


def _row(y: Any) -> Card:
    return Card(
        "", 1.0, [Plate(y[None].repeat(1 if len(y) > 64 else 2, axis=0), largest(y), strip=len(y) > 64, whole=True)]
    )


def strongest_section(
    page: Page, name: str, number: int, searched: int, found: "list[tuple[int, Peak, Any]]"
) -> Section:
    """The samples of the test set that excite one map most."""
    cards = [
        Card(f"example {n}: {peak.value:.2f}", peak.value, [page.input(peak.window, sample)])
        for n, peak, sample in found
        if peak.value > 0
    ]
    title = f"what excites map {number} of {name} most, among {searched} test examples"
    sentence = "What these windows have in common is what the map looks for."
    if not cards:
        sentence = "Nothing does: the map is silent on all of them."
    return Section(title, sentence, ["window"] if cards else [], cards, most=len(cards) or None)


def verdict(probabilities: Any, names: Sequence[str], truth: int | None) -> tuple[str, list[tuple[str, float]]]:
    """The network's word in a sentence, and its three surest classes."""
    best = sorted(range(len(probabilities)), key=lambda k: -probabilities[k])
    words = f"The network says {names[best[0]]}, {figures.percent(float(probabilities[best[0]]))} sure"
    if truth is not None:
        words += ", and it is right" if truth == best[0] else f", but it is {names[truth]}"
    return f"{words}.", [(names[k], float(probabilities[k])) for k in best[:3]]
