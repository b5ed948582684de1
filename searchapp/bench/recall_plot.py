"""Draw recall against latency as an SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from searchapp.bench.search import Row
from searchapp.files.atomic import write_output

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 860, 480, 70, 60, 50, 300
COLOURS = ("#1b6ca8", "#c8553d", "#3b8e5a", "#8a4fa3", "#b8860b", "#555555")


def write(file: Path, rows: Sequence[Row], title: str) -> None:
    """Write the curve to a file; raise SearchAppError where it cannot be written."""
    with write_output(file) as temporary:
        temporary.write_text(draw(rows, title), encoding="utf-8")


def draw(rows: Sequence[Row], title: str) -> str:
    """Return an SVG: recall upwards, the median latency (logarithmic) to the right."""
    points = [point for row in rows for point in row.curve]
    least = min(recall for recall, _ in points)
    floor = min(0.9, math.floor(least * 10) / 10)
    low = math.floor(math.log10(max(1e-3, min(ms for _, ms in points))))
    high = max(low + 1, math.ceil(math.log10(max(1e-3, *(ms for _, ms in points)))))

    def x(milliseconds: float) -> float:
        share = (math.log10(max(1e-3, milliseconds)) - low) / (high - low)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(recall: float) -> float:
        return HEIGHT - BOTTOM - (recall - floor) / (1 - floor) * (HEIGHT - BOTTOM - TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="28" font-size="16">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        at = x(10**power)
        parts.append(_line(at, TOP, at, HEIGHT - BOTTOM))
        parts.append(_text(at, HEIGHT - BOTTOM + 20, f"{10.0**power:g}", "middle"))
    for step in range(6):
        recall = floor + (1 - floor) * step / 5
        parts.append(_line(LEFT, y(recall), WIDTH - RIGHT, y(recall)))
        parts.append(_text(LEFT - 8, y(recall) + 4, f"{recall:.2f}", "end"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 15, "median of a query, ms", "middle"))
    parts.append(_text(LEFT, TOP - 8, "recall@10", "middle"))
    for number, row in enumerate(rows):
        colour = COLOURS[number % len(COLOURS)]
        places = [(x(ms), y(recall)) for recall, ms in row.curve]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in places)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="4" fill="{colour}"/>' for a, b in places]
        parts.append(
            f'<text x="{WIDTH - RIGHT + 20}" y="{TOP + 12 + 22 * number}" fill="{colour}">'
            f"{escape(row.index)}</text>"
        )
    return "\n".join([*parts, "</svg>\n"])


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
