"""The picture of maximise.md: ten digits on each canvas."""

from pathlib import Path

import unfool
from unfool.show.grid import save_panels

CANVASES = (
    unfool.Maximise(unfool.Pixels()),
    unfool.Maximise(unfool.Fourier()),
    unfool.Maximise(unfool.Fourier(measured=True)),
    unfool.Maximise(unfool.Laplacian()),
    unfool.Maximise(unfool.MACO()),
    unfool.Maximise(unfool.Network(), rate=0.005),
)


def main() -> None:
    model, source = unfool.load("unfool:digits"), unfool.open_data("unfool:digits?split=train")
    looks = unfool.looks_of(source.batch(source.ids()).x.split(64))
    rows = []
    for method in CANVASES:
        made = method(model, range(10), start=looks)
        captions = [f"{score:.1f}" for score in made.score.tolist()]
        captions[0] = f"{method.canvas!r}"
        rows.append(list(zip(captions, made.x, strict=True)))
        print(f"{method.canvas!r}: median score {float(made.score.median()):.1f}")
    save_panels(Path(__file__).parent / "pictures" / "canvases.png", rows, side=96)


if __name__ == "__main__":
    main()
