"""Measure the recognition of text in pictures: what is found, false texts, and the cost.

    python tests/bench/text_in_pictures.py quality [PICTURES] [SEED]
    python tests/bench/text_in_pictures.py sizes [PICTURES]
    python tests/bench/text_in_pictures.py photos [PHOTOS]
    python tests/bench/text_in_pictures.py cost OTHER_CHECKOUT [PICTURES] [RUNS]

quality: draws words and phrases on photos and plain grounds, in several fonts, sizes, turns and
colors. Indexes them with a fake engine, reads them, asks for each text, and prints the ranks.
sizes: prints the CPU time of the detection at several sizes, and the size of letters that it finds.
photos: reads the text of PHOTOS (data/photos); prints each line, and the CPU time of a picture.
cost: alternates index runs without --ocr in this and another checkout; prints the CPU time.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.Image import Image as Picture

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.fake_engine import FakeEngine
from support.library import write_fake_clip

from searchapp.catalog import UnreadScope
from searchapp.engines import EngineInput, Refusal
from searchapp.engines.base import Vector
from searchapp.indexing.recognition.worker import recognize
from searchapp.library import Library
from searchapp.pictures.decode import decode_picture
from searchapp.pictures.recognition.rapidocr_reader import RapidOcrReader, _to_bgr
from searchapp.pictures.recognition.read_text import read_text
from searchapp.types import IndexOptions, Query, SearchOptions

PHOTOS = Path(__file__).parents[2] / "data/photos"
FONT_FOLDERS = (Path("/usr/share/fonts/truetype"), Path("/usr/share/fonts/opentype"))
FONTS = (
    "DejaVuSans.ttf", "DejaVuSerif-Bold.ttf", "DejaVuSansMono.ttf", "LiberationSans-Regular.ttf",
    "LiberationSerif-Italic.ttf", "LiberationSansNarrow-Bold.ttf", "C059-Roman.otf",
    "URWGothic-Book.otf", "P052-Italic.otf",
)  # fmt: skip
WORDS = (
    "invoice", "harbor", "sunset", "receipt", "platform", "departure", "museum", "bakery",
    "library", "passport", "ticket", "warning", "pharmacy", "hospital", "garden", "bridge",
    "station", "market", "coffee", "chocolate", "telephone", "calendar", "birthday", "wedding",
    "football", "concert", "theatre", "kitchen", "bathroom", "elevator", "restaurant", "Straße",
    "Bücherei", "Zürich", "Málaga", "façade", "crème", "Øresund", "señor", "Ångström",
)  # fmt: skip
SIDE_PX = 1600  # long side of the pictures
LETTER_SHARES = (0.012, 0.015, 0.02, 0.03, 0.045, 0.07)  # height of a line, of the long side
TURNS = (0, 0, 0, 0, 90, 180, 270, 6, -6)  # degrees
DETECTION_SIDES_PX = (320, 480, 640, 736, 960, 1280)
COST_SCRIPT = """
import resource, sys
from pathlib import Path
from searchapp.catalog import UnreadScope
from searchapp.indexing.recognition.worker import recognize
from searchapp.library import Library
from searchapp.types import IndexOptions
from support.library import FakeEngines, write_fake_clip
library, folder = map(Path, sys.argv[1:])
options = IndexOptions(str(write_fake_clip(library.with_name(f"{library.name} model"))))
with Library.open(library, create=True, start=FakeEngines()) as opened:
    before = resource.getrusage(resource.RUSAGE_SELF)
    list(opened.index([folder], options))
    after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
"""


class WordlessEngine(FakeEngine):
    """Engine that gives all texts the same vector, so that only their words find pictures."""

    def embed(self, inputs: Sequence[EngineInput]) -> list[Vector | Refusal]:
        return super().embed([EngineInput("gray", item.image) for item in inputs])


def list_fonts() -> list[Path]:
    found = {file.name: file for folder in FONT_FOLDERS for file in folder.rglob("*.[to]tf")}
    fonts = [found[name] for name in FONTS if name in found]
    assert len(fonts) >= 4, f"install some of the fonts {', '.join(FONTS)}"
    return fonts


def list_photos(folder: Path = PHOTOS) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix in (".jpg", ".png"))


def make_ground(rng: random.Random, photos: Sequence[Path]) -> Picture:
    """Return a photo or a plain picture; its long side has SIDE_PX."""
    if rng.random() < 0.2:
        return Image.new("RGB", (SIDE_PX, SIDE_PX * 3 // 4), rng.choice(("white", "#204060")))
    photo = Image.open(rng.choice(photos)).convert("RGB")
    scale = SIDE_PX / max(photo.size)
    size = round(photo.width * scale), round(photo.height * scale)
    return photo.resize(size, Image.Resampling.BICUBIC)


def draw_text(
    rng: random.Random, ground: Picture, text: str, font: Path, height: int, turn: int
) -> tuple[int, int, int, int]:
    """Draw a text at a random place, in a color that can be read there; return the place."""
    face = ImageFont.truetype(str(font), height)
    left, top, right, bottom = face.getbbox(text)
    margin = height // 3
    mask = Image.new("L", (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin))
    ImageDraw.Draw(mask).text((margin - left, margin - top), text, font=face, fill=255)
    mask = mask.rotate(turn, Image.Resampling.BICUBIC, expand=True)
    if mask.width > ground.width or mask.height > ground.height:
        mask.thumbnail(ground.size)
    x = rng.randint(0, ground.width - mask.width)
    y = rng.randint(0, ground.height - mask.height)
    place = (x, y, x + mask.width, y + mask.height)
    brightness = np.asarray(ground.crop(place).convert("L")).mean()
    dark, bright = ("black", "#800000", "#003080"), ("white", "#ffee50", "#c0ffc0")
    ground.paste(Image.new("RGB", mask.size, rng.choice(bright if brightness < 128 else dark)),
                 place, mask)  # fmt: skip
    return place


def measure_quality(count: int, seed: int) -> None:
    """Print how often a text finds its picture at rank 1, by font, size, turn and ground."""
    rng = random.Random(seed)
    photos, fonts = list_photos(), list_fonts()
    texts: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = Path(temporary) / "pictures"
        folder.mkdir()
        while len(texts) < count:
            words = rng.sample(WORDS, rng.choice((1, 2, 2, 3)))
            text = " ".join(rng.choice((str.title, str.upper, str))(word) for word in words)
            if len(words) == 1:
                text += f" {rng.randint(100, 9999)}"
            if text.casefold() in map(str.casefold, texts):
                continue
            ground = make_ground(rng, photos)
            font, turn = rng.choice(fonts), rng.choice(TURNS)
            share = rng.choice(LETTER_SHARES)
            draw_text(rng, ground, text, font, round(share * SIDE_PX), turn)
            ground.save(folder / f"{len(texts):04}.jpg", quality=88)
            texts[text] = {"font": font.stem, "share": share, "turn": turn, "words": len(words)}
        model = str(write_fake_clip(Path(temporary) / "model"))
        with Library.open(
            Path(temporary) / "library", create=True, start=WordlessEngine
        ) as library:
            list(library.index([folder], IndexOptions(model)))
            reader, texts_table = RapidOcrReader(), library._catalog.recognized_texts
            reader.start()
            started_at = time.process_time()
            outcomes = [
                recognize(image, reader)
                for image in texts_table.list_unread(UnreadScope(), 0, count)
            ]
            seconds = (time.process_time() - started_at) / count
            texts_table.save_outcomes([(o.image_id, o.result) for o in outcomes], reader.name)
            missed: list[str] = []
            for number, text in enumerate(texts):
                hits = library.search(Query(text), SearchOptions(count=1))
                if not hits or Path(hits[0].path).stem != f"{number:04}":
                    missed.append(text)
                    (read,) = library._catalog._db.execute(
                        "select t.text from recognized_texts t join files f"
                        " on f.image_id = t.image_id where f.path like ?", (f"%/{number:04}.jpg",),
                    ).fetchone()  # fmt: skip
                    print(f"missed: {text!r} {texts[text]}, read: {read!r}", flush=True)
    print(f"{count - len(missed)} of {count} texts have rank 1; {seconds:.2f} s CPU for each")
    for name in ("font", "share", "turn", "words"):
        all_counts = Counter(each[name] for each in texts.values())
        missed_counts = Counter(texts[text][name] for text in missed)
        shares = (f"{key}: {1 - missed_counts[key] / n:.2f}" for key, n in all_counts.items())
        print(f"  by {name}: {', '.join(shares)}")


def measure_sizes(count: int) -> None:
    """Print the CPU time of the detection by size, and the share of texts that it finds."""
    rng, reader = random.Random(1), RapidOcrReader()
    photos, fonts = list_photos(), list_fonts()
    grounds = [make_ground(rng, photos) for _ in range(count)]
    reader.start()
    for side in DETECTION_SIDES_PX:
        images = [_to_bgr(ground) for ground in grounds]
        started_at = time.process_time()
        found = [len(reader._detect(image, side)) for image in images]
        seconds = (time.process_time() - started_at) / count
        with_text = sum(map(bool, found))
        print(f"{side} px: {seconds:.2f} s CPU, boxes in {with_text} of {count} without text",
              flush=True)  # fmt: skip
    for share in (0.008, *LETTER_SHARES):
        hits = Counter[int]()
        for ground in grounds:
            picture = ground.copy()
            text = " ".join(rng.sample(WORDS, 2)).title()
            place = draw_text(rng, picture, text, rng.choice(fonts), round(share * SIDE_PX), 0)
            for side in DETECTION_SIDES_PX:
                centers = reader._detect(_to_bgr(picture), side).mean(axis=1)
                inside = (centers > place[:2]) & (centers < place[2:])
                hits[side] += bool(inside.all(axis=1).any())
        shares = (f"{side}: {hits[side] / count:.2f}" for side in DETECTION_SIDES_PX)
        print(f"letters of {share:.1%} of the long side: {', '.join(shares)}", flush=True)


def measure_photos(folder: Path) -> None:
    """Print the lines that are read in photos, and the CPU time for a picture."""
    reader, files = RapidOcrReader(), list_photos(folder)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for file in files:
        data = file.read_bytes()
        started_at = time.process_time()
        lines = read_text(lambda choose: decode_picture(data, choose)[0], reader)  # noqa: B023
        seconds[bool(lines)].append(time.process_time() - started_at)
        for line in lines:
            print(f"{file.name}: {line.text!r} {line.confidence:.2f}", flush=True)
    for has_text, each in seconds.items():
        if each:
            kind = "with" if has_text else "without"
            print(f"{len(each)} photos {kind} text: {statistics.mean(each):.2f} s CPU for each")


def measure_cost(other: Path, pictures: int, runs: int) -> None:
    """Print the CPU time of index runs without --ocr, relative to another checkout."""
    rng, photos = random.Random(2), list_photos()
    checkouts = {"other": other.absolute(), "this": Path(__file__).parents[2]}
    seconds: dict[str, list[float]] = {name: [] for name in checkouts}
    with tempfile.TemporaryDirectory(prefix="searchapp-bench-") as temporary:
        folder = Path(temporary) / "pictures"
        folder.mkdir()
        for number in range(pictures):
            ground = Image.open(rng.choice(photos)).convert("RGB")
            ground.putpixel((0, 0), (number % 256, number // 256, 0))
            ground.save(folder / f"{number}.jpg")
        for run in range(runs):
            for name in sorted(checkouts, reverse=run % 2 == 1):
                library = Path(temporary) / f"{name} {run}"
                path = os.pathsep.join((str(checkouts[name]), str(checkouts[name] / "tests")))
                result = subprocess.run(
                    [sys.executable, "-c", COST_SCRIPT, library, folder],
                    env={**os.environ, "PYTHONPATH": path},
                    capture_output=True, text=True, check=True,
                )  # fmt: skip
                seconds[name].append(float(result.stdout))
    pairs = zip(seconds["this"], seconds["other"], strict=True)
    ratio = statistics.median(this / other for this, other in pairs)
    best = {name: min(each) for name, each in seconds.items()}
    print(f"CPU time of an index run: ratio {ratio:.3f} (median of {runs} pairs), best {best}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["quality", *rest]:
            measure_quality(*map(int, (*rest, *("220", "0")[len(rest) :])))
        case ["sizes", *rest]:
            measure_sizes(*map(int, rest or [20]))
        case ["photos", *rest]:
            measure_photos(Path(*rest) if rest else PHOTOS)
        case ["cost", other, *rest]:
            partial(measure_cost, Path(other))(*map(int, rest or [400, 5]))
        case _:
            sys.exit(__doc__)
