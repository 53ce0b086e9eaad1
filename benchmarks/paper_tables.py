"""Tables 1 and 2 of the paper on the small real EndoVis clips at hand, by `cuemask benchmark`'s own code.

    python -m benchmarks.paper_tables [--recipes paper,default] [--set key=value ...] [--tables table1,table2]
        [--seed 0] [--out build/paper_tables] [--results benchmarks/results/paper_tables.md]

The clips are 12 frames with truth of 31; they stand for themselves, not for EndoVis 2017. `paper` and `released` run
reduced, as in benchmarks.accuracy, unless --full is given. Networks that are there are not run again.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from benchmarks.accuracy import ROOT, contestant
from benchmarks.clips import endovis_together, real_cases
from benchmarks.machine import data_place, machine
from cuemask.experiments.benchmark import BenchmarkOptions, What, benchmark
from cuemask.media.files import make_folder, write_bytes
from cuemask.media.masks import write_mask


def main() -> None:
    """Lay the clips out as a data set of one's own, run the tables, gather them in one file."""
    arguments = _arguments()
    print(machine())
    data = laid_out(data_place(), arguments.out / "data")
    texts = [HEAD]
    for name in arguments.recipes.split(","):
        one = contestant(name, arguments.set, arguments.full)
        for what in arguments.tables.split(","):
            out = arguments.out / f"{name}-{arguments.seed}"
            options = BenchmarkOptions(
                data, out, one.recipe, dataset="folders", protocol="with-truth", seed=arguments.seed, say=print
            )
            text = benchmark(_what(what), options)[0].read_text(encoding="utf-8")
            texts.append(text.replace("# Table", f"## {one.label}: Table", 1))
            write_bytes(make_folder(arguments.results.parent) / arguments.results.name, "\n".join(texts).encode())
    print("\n".join(texts))


HEAD = """# The paper's tables 1 and 2 on the EndoVis clips at hand

endovis17_dataset4 (5 frames with truth), endovis17_dataset3_clip (1 of 20) and endovis18_sequence (6), learnt from
together in the single-stage setting. Twelve frames cannot reproduce figures of 1,800: what can be looked at is whether
the order of the rows holds. What the rows of a table were made with stands above its figures. Made by
`python -m benchmarks.paper_tables`.
"""


def laid_out(data: Path, folder: Path) -> Path:
    """The clips as `folders`: links to the frames, and masks of 0 and 255 named after them."""
    shutil.rmtree(folder, ignore_errors=True)
    case = endovis_together(real_cases(data))
    for source in case.sources:
        place = Path(source.input)
        clip = make_folder(folder / (place.parent if place.is_file() or place.name == "frames" else place).name)
        link = clip / ("clip.mp4" if place.is_file() else "frames")
        link.symlink_to(place.absolute(), target_is_directory=place.is_dir())
        for name, mask in source.masks().items():
            write_mask(make_folder(clip / "masks") / f"{name}.png", mask)
    return folder


def _what(name: str) -> What:
    if name != "table1" and name != "table2":
        raise SystemExit(f"{name}: these clips can fill table1 and table2 only")
    return name


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", default="paper,default")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="in every recipe")
    parser.add_argument("--tables", default="table1,table2")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--full", action="store_true", help="paper and released whole: not for 2 cores")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "paper_tables")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "results" / "paper_tables.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
