"""Prove on a GPU that JPEGs decoded there give the vectors of the CPU, and measure the rates.

    python tests/bench/gpu_decode.py prove OUT.json [--pictures 500] [--model FOLDER]
        decode varied JPEGs on the CPU and on the GPU, and compare pixels, vectors and errors
    python tests/bench/gpu_decode.py guard OUT.json
        cut JPEGs of many shapes, and report which cuts the decoder notices
    python tests/bench/gpu_decode.py decoders OUT.json
        measure the decoders alone, in one process: pictures/s by size
    python tests/bench/gpu_decode.py processes OUT.json [--mps]
        measure the GPU's decoder in several processes at once, as engines use it: pictures/s
    python tests/bench/gpu_decode.py rates OUT.json --size 4000x3000 --pictures 8000
            --engines 8 --decode cpu,auto,gpu
        write a full-size CLIP with random weights, and run `searchapp bench index`

`prove` needs a model with trained weights: by default the one in data/starter. With random weights
all vectors are alike, so that a cosine proves nothing; the centered cosine is printed, too.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from support.icc_profiles import ADOBE_RGB, DISPLAY_P3, PRO_PHOTO, make_rgb_profile  # noqa: E402

from searchapp.bench.synthetic_photos import draw_photo  # noqa: E402
from searchapp.engines import EngineInput, Refusal, start_engine  # noqa: E402
from searchapp.engines.gpu_jpeg import start_jpeg_decoder  # noqa: E402
from searchapp.engines.mps import MpsDaemon  # noqa: E402
from searchapp.engines.proven_jpeg import COMPARED_FACTOR  # noqa: E402
from searchapp.errors import PictureError  # noqa: E402
from searchapp.models import ModelSpec, resolve_model  # noqa: E402
from searchapp.pictures import decode  # noqa: E402
from searchapp.pictures.jpeg_decoder import JpegJob, JpegShape, parse_baseline  # noqa: E402

MIN_COSINE = 0.999
SIZES = ((640, 480), (1024, 683), (1600, 1200), (2048, 1536), (3000, 4000), (4000, 3000),
         (4032, 3024), (333, 500), (227, 301), (5000, 1200), (6000, 4000))  # fmt: skip
PLAIN_KINDS = ("plain", "orientation", "p3", "adobe", "prophoto", "restarts", "optimized", "behind",
               "444", "422")  # fmt: skip
PRIMARIES = {"p3": DISPLAY_P3, "adobe": ADOBE_RGB, "prophoto": PRO_PHOTO}
# The GPU must not decode these, except the last two.
OTHER_KINDS = ("gray", "progressive", "cmyk", "truncated", "no end", "rgb", "cut and ended",
               "damaged")  # fmt: skip
DECODING_S = 3.0  # of each row of `processes`
GUARD_SHARES = (0.05, 0.4, 0.8, 0.97, 0.995, 0.9995)  # of the entropy-coded data that is kept


@dataclass(slots=True)
class Result:
    """What the CPU and the GPU made of one file."""

    kind: str
    on_gpu: bool
    cpu_error: str | None
    gpu_error: str | None
    mean_difference: float | None = None  # of pixels, in levels of 255
    cosine: float | None = None
    size: tuple[int, int] = (0, 0)
    lower_part: tuple[list[float], list[float]] = ([], [])  # mean and deviation of the last rows
    images: tuple[Any, Any] | None = field(default=None, repr=False)


def make_varied_jpegs(count: int) -> Iterator[tuple[str, bytes, bytes]]:
    """Yield (kind, bytes of a JPEG, bytes of a complete JPEG of the same shape).

    Each kind has many sizes, qualities and subsamplings.
    """
    rng = random.Random(0)
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        scenes = list(pool.map(lambda n: draw_photo(n, *SIZES[n % len(SIZES)]), range(33)))
    kinds = [*PLAIN_KINDS * 4, *OTHER_KINDS]
    jobs = [(kinds[n % len(kinds)], scenes[n % 33], rng.randrange(10**9)) for n in range(count)]
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        yield from pool.map(lambda job: (job[0], *encode_jpeg(*job)), jobs)


def encode_jpeg(kind: str, scene: Image.Image, seed: int) -> tuple[bytes, bytes]:
    """Return a JPEG, and the same one before it was damaged."""
    rng = random.Random(seed)
    # Parts of the scene, so that no two pictures are alike.
    left, top = rng.randrange(scene.width // 4), rng.randrange(scene.height // 4)
    right, bottom = scene.width - rng.randrange(9), scene.height - rng.randrange(9)
    picture = scene.crop((left, top, right, bottom))
    options: dict[str, Any] = {
        "quality": rng.choice((30, 60, 75, 85, 92, 97)),
        "subsampling": rng.choice((0, 1, 2, 2, 2)),
    }
    match kind:
        case "orientation":
            exif = Image.Exif()
            exif[0x0112] = rng.randrange(2, 9)
            options["exif"] = exif
        case "gray":
            picture = picture.convert("L")
        case "p3" | "adobe" | "prophoto":
            options["icc_profile"] = make_rgb_profile(PRIMARIES[kind], rng.choice((1.8, 2.2)))
        case "restarts":
            options["restart_marker_blocks"] = rng.choice((1, 7, 100))
        case "optimized":
            options["optimize"] = True
        case "444" | "422":
            options["subsampling"] = {"444": 0, "422": 1}[kind]
        case "progressive":
            options["progressive"] = True
        case "cmyk":
            picture = picture.convert("CMYK")
        case "rgb":
            options = {"keep_rgb": True, "quality": 90}
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", **options)
    data = complete = buffer.getvalue()
    start = data.rindex(b"\xff\xda") + 20
    cut = rng.randrange(start, len(data) - 20)
    match kind:
        case "behind":
            data += rng.randbytes(5000)
        case "truncated":
            data = data[:cut]
        case "cut and ended":  # Pillow shows gray for what is missing.
            data = data[:cut].rstrip(b"\xff") + b"\xff\xd9"
        case "no end":
            data = data[:-2]
        case "damaged":  # bytes in the middle of the pixels
            data = data[:cut] + bytes(n % 255 for n in rng.randbytes(16)) + data[cut + 16 :]
    return data, complete


def start_model(model: str) -> tuple[ModelSpec, Callable[[list[Image.Image]], np.ndarray]]:
    """Return a spec, and a function that embeds pictures in its size: [n, dimensions], float32.

    Without the weights of the starter, a vision tower with random weights embeds.
    """
    if model == "starter" and not (ROOT / "data" / "starter" / "model.safetensors").exists():
        return resolve_model("clip-vit-l-14"), make_random_tower()
    spec = resolve_model(model)
    engine = start_engine(spec)

    def embed(images: list[Image.Image]) -> np.ndarray:
        vectors = engine.embed([EngineInput("", image) for image in images])
        refused = [each.reason for each in vectors if isinstance(each, Refusal)]
        assert not refused, refused[:3]
        return np.array(vectors, np.float32)

    return spec, embed


def make_random_tower() -> Callable[[list[Image.Image]], np.ndarray]:
    import torch
    from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection

    torch.manual_seed(0)
    tower = CLIPVisionModelWithProjection(CLIPVisionConfig()).eval().cuda()

    def embed(images: list[Image.Image]) -> np.ndarray:
        vectors = []
        for image in images:
            left, top = (image.width - 224) // 2, (image.height - 224) // 2
            square = np.array(image.crop((left, top, left + 224, top + 224)), np.float32)
            pixels = torch.from_numpy((square / 255 - 0.45) / 0.27).permute(2, 0, 1)[None]
            with torch.inference_mode():
                vectors.append(tower(pixel_values=pixels.cuda()).image_embeds[0].cpu().numpy())
        return np.array(vectors, np.float32)

    return embed


def prove(output: Path, count: int, model: str) -> dict[str, Any]:
    spec, embed = start_model(model)
    decoder = start_jpeg_decoder(spec, "gpu")
    assert decoder is not None
    problem = decoder.take_problem()
    if problem is not None:
        raise SystemExit(f"no JPEGs can be decoded on the GPU: {problem}")

    def read(data: bytes, jpegs: Any) -> tuple[Any, str | None]:
        try:
            return decode.prepare_picture(data, spec.image, jpegs=jpegs).image, None
        except PictureError as error:
            return None, str(error)

    results: list[Result] = []
    for kind, data, complete in make_varied_jpegs(count):
        for _ in range(2):  # The first picture of a shape is not decoded; the second is the proof.
            read(complete, decoder)
        expected, cpu_error = read(data, None)
        before = decoder.decoded_count
        made, gpu_error = read(data, decoder)
        result = Result(kind, decoder.decoded_count > before, cpu_error, gpu_error)
        if expected is not None and made is not None:
            assert expected.size == made.size, (kind, expected.size, made.size)
            difference = np.asarray(expected, np.int16) - np.asarray(made, np.int16)
            result.mean_difference = float(np.abs(difference).mean())
            result.images = expected, made
            result.size = Image.open(io.BytesIO(data)).size
            rows = np.asarray(made, np.float32)[-10:]
            result.lower_part = (
                rows.mean(axis=(0, 1)).round(1).tolist(),
                rows.std(axis=(0, 1)).round(1).tolist(),
            )
        results.append(result)
    compared = [each for each in results if each.images is not None]
    cpu, gpu, again = (
        embed([each.images[side] for each in compared if each.images]) for side in (0, 1, 0)
    )
    mean = cpu.mean(axis=0)
    cosines, centered = compute_cosines(cpu, gpu), compute_cosines(cpu - mean, gpu - mean)
    for result, cosine in zip(compared, cosines, strict=True):
        result.cosine = float(cosine)
    # The same pixels twice, and other pictures: what the numbers can show at best and at worst.
    report = {
        "model": spec.name,
        "files": count,
        "min_cosine": float(cosines.min()),
        "below_limit": int((cosines < MIN_COSINE).sum()),
        "min_centered_cosine": float(centered.min()),
        "median_centered_cosine": float(np.median(centered)),
        "same_pixels_min_cosine": float(compute_cosines(cpu, again).min()),
        "other_pictures_median_cosine": float(np.median(compute_cosines(cpu, np.roll(cpu, 1, 0)))),
        "other_errors": [
            [each.kind, each.cpu_error, each.gpu_error]
            for each in results
            if each.cpu_error != each.gpu_error
        ],
        "worst": [
            (each.kind, each.size, each.cosine, each.mean_difference)
            for each in sorted(compared, key=lambda each: each.cosine or 0.0)[:20]
        ],
        "cut_and_ended": [
            (each.on_gpu, each.cosine, *each.lower_part)
            for each in compared
            if each.kind == "cut and ended"
        ],
        "kinds": summarize_kinds(results),
    }
    write_json(output, report)
    decoder.close()
    return report


def compute_cosines(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(axis=1) / norms


def summarize_kinds(results: list[Result]) -> dict[str, Any]:
    by_kind = defaultdict[str, list[Result]](list)
    for result in results:
        by_kind[result.kind].append(result)
    return {
        kind: {
            "files": len(group),
            "on_gpu": sum(each.on_gpu for each in group),
            "errors": sum(each.cpu_error is not None for each in group),
            "min_cosine": min((e.cosine for e in group if e.cosine is not None), default=None),
            "max_mean_difference": max(
                (e.mean_difference for e in group if e.mean_difference is not None), default=None
            ),
        }
        for kind, group in by_kind.items()
    }


def measure_decoders(output: Path) -> dict[str, Any]:
    """Measure Pillow (all cores), and the GPU decoder with 8 pictures in flight."""
    import torch

    torch.zeros(1, device="cuda")
    spec = resolve_model("clip-vit-l-14")
    rows = []
    for width, height, count in ((640, 480, 4000), (1600, 1200, 1500), (4000, 3000, 600)):
        files = []
        for number in range(8):
            buffer = io.BytesIO()
            draw_photo(number, width, height).save(buffer, "JPEG", quality=85)
            files.append(buffer.getvalue())
        decoder = start_jpeg_decoder(spec, "gpu")
        row: dict[str, Any] = {"size": f"{width}x{height}", "bytes": len(files[0])}
        for name, jpegs, threads in (
            ("gpu", decoder, 8), ("gpu_16_threads", decoder, 16),
            ("pillow_1_thread", None, 1), ("pillow_16_threads", None, 16),
        ):  # fmt: skip
            todo = count // 8 if threads == 1 else count

            def read(n: int, files: list[bytes] = files, jpegs: Any = jpegs) -> None:
                decode.prepare_picture(files[n % 8], spec.image, jpegs=jpegs)

            with ThreadPoolExecutor(threads) as pool:
                list(pool.map(read, range(32)))
                started = time.monotonic()
                list(pool.map(read, range(todo)))
                row[name] = round(todo / (time.monotonic() - started), 1)
        row["gpu_memory_mb"] = torch.cuda.max_memory_reserved() >> 20
        rows.append(row)
        print(row, flush=True)
        write_json(output, rows)
    return {"rows": rows}


def measure_processes(output: Path, mps: MpsDaemon | None) -> dict[str, Any]:
    """Measure how many pictures of 12 megapixels several processes decode and reduce together."""
    environment = {**os.environ, **(mps.environment if mps else {})}
    rows = []
    for batch, count in itertools.product((7, 28), (1, 4, 8)):
        command = [sys.executable, __file__, "one-process", "-", "--pictures", str(batch)]
        processes = [
            subprocess.Popen(command, env=environment, stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
            for _ in range(count)
        ]  # fmt: skip
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()  # It is ready.
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("begin\n")
            process.stdin.flush()
        answers = [process.communicate()[0] for process in processes]
        rate = sum(map(float, answers)) / DECODING_S
        rows.append({"processes": count, "batch": batch, "images_per_s": round(rate)})
        print(rows[-1], flush=True)
        write_json(output, rows)
    return {"rows": rows}


def decode_in_this_process(batch: int) -> None:
    """Decode for DECODING_S from the moment when stdin has a line; print the number of pictures."""
    from searchapp.engines import gpu_jpeg
    from searchapp.engines.vllm_settings import enable_blocking_cuda_sync

    enable_blocking_cuda_sync()
    decoder = gpu_jpeg._start_nvjpeg()
    whole = [make_job(draw_photo(seed, 4000, 3000)) for seed in range(8)]
    jobs = [replace(job, shape=replace(job.shape, factor=8)) for job in whole]
    for _ in range(3):  # The shape must be proven.
        decoder.decode_batch(jobs)
    print("ready", flush=True)
    sys.stdin.readline()
    count, ended_at = 0, time.monotonic() + DECODING_S
    while time.monotonic() < ended_at:
        made = decoder.decode_batch([jobs[(count + number) % len(jobs)] for number in range(batch)])
        assert all(pixels is not None for pixels in made)
        count += batch
    print(count)


def measure_guard(output: Path) -> dict[str, Any]:
    """Cut JPEGs of many shapes at many places, and report which cuts the decoder notices.

    Each shape is proven first. A batch has complete pictures, too. For a cut that is not noticed,
    the report has the mean difference to Pillow in levels of 255: it must be small.
    """
    from searchapp.engines import gpu_jpeg

    decoder = gpu_jpeg._start_nvjpeg()  # raises an exception if the test pictures fail
    rows = []
    for width, height in ((640, 480), (1591, 1043), (3768, 2343), (4000, 3000)):
        for subsampling, restarts in itertools.product((0, 1, 2), (0, 7)):
            options = {"restart_marker_blocks": restarts} if restarts else {}
            first, second, third = (
                make_job(draw_photo(seed, width, height), subsampling=subsampling, **options)
                for seed in range(3)
            )
            for job in (first, second):
                decoder.decode_batch([job])
            batch = [second, third, *(third.cut(share) for share in GUARD_SHARES), second]
            made = decoder.decode_batch(batch)
            differences = {
                share: compare_with_pillow(job, pixels)
                for share, job, pixels in zip(GUARD_SHARES, batch[2:-1], made[2:-1], strict=True)
                if pixels is not None
            }
            row = {
                "size": f"{width}x{height}",
                "subsampling": subsampling,
                "restarts": bool(restarts),
                "is_proven": first.shape in decoder._proven,
                "complete_decoded": sum(made[n] is not None for n in (0, 1, -1)),
                "not_noticed": differences,
            }
            rows.append(row)
            print(row, flush=True)
            write_json(output, rows)
    return {"rows": rows}


def make_job(picture: Image.Image, **options: int) -> JpegJob:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=88, **options)
    data = buffer.getvalue()
    layout = parse_baseline(data)
    assert layout is not None
    shape = JpegShape(*picture.size, 2, layout.sampling, layout.has_restarts)
    return JpegJob(data, shape, layout.scan_start)


def compare_with_pillow(job: JpegJob, pixels: np.ndarray) -> float:
    with Image.open(io.BytesIO(job.data)) as image:
        image.draft(None, (image.width // 2, image.height // 2))
        expected = np.asarray(image.reduce(COMPARED_FACTOR), np.int16)
    found = np.asarray(Image.fromarray(pixels).reduce(COMPARED_FACTOR), np.int16)
    return float(np.abs(found - expected).mean())


def measure_rates(output: Path, arguments: list[str]) -> None:
    """Run `searchapp bench index` with CLIP L/14 in its full size and random weights."""
    from full_size_models import write_model

    with tempfile.TemporaryDirectory() as folder:
        model = write_model("clip-vit-l-14", Path(folder))
        command = [sys.executable, "-m", "searchapp", "bench", "index", "--model", str(model),
                   "--dummy-weights", "--only-pipeline", "--json", *arguments]  # fmt: skip
        answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    report = json.loads(answer.stdout)
    write_json(output, report)
    print(json.dumps({**report, "rows": None}))
    for row in report["rows"]:
        print(json.dumps(row), flush=True)


def write_json(output: Path, report: Any) -> None:
    output.write_text(json.dumps(report, indent=1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=(
        "prove", "guard", "decoders", "processes", "one-process", "rates",
    ))  # fmt: skip
    parser.add_argument("output", type=Path)
    parser.add_argument("--pictures", type=int, default=500)
    parser.add_argument("--model", default="starter")
    parser.add_argument("--mps", action="store_true", help="let the processes share the GPU")
    known, others = parser.parse_known_args()
    if known.what == "rates":
        measure_rates(known.output, ["--pictures", str(known.pictures), *others])
    elif known.what == "guard":
        measure_guard(known.output)
    elif known.what == "one-process":
        decode_in_this_process(known.pictures)
    elif known.what == "processes":
        mps = MpsDaemon.start() if known.mps else None
        try:
            measure_processes(known.output, mps)
        finally:
            if mps is not None:
                mps.close()
    elif known.what == "decoders":
        measure_decoders(known.output)
    else:
        report = prove(known.output, known.pictures, known.model)
        print(json.dumps(report, indent=1))


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
