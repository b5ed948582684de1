"""Draw recall against latency as an SVG file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from pathlib import Path

from searchapp.bench.index_bench import IndexRow
from searchapp.files.atomic import write_output

WIDTH_PX, HEIGHT_PX = 860, 480
LEFT_MARGIN_PX, TOP_MARGIN_PX = 70, 50
RIGHT_MARGIN_PX, BOTTOM_MARGIN_PX = 300, 60
LINE_COLORS = ("#1b6ca8", "#c8553d", "#3b8e5a", "#8a4fa3", "#b8860b", "#555555")


def write_plot(file: Path, rows: Sequence[IndexRow], title: str) -> None:
    """Write an SVG file that shows recall against latency.

    Errors: SearchAppError if the file cannot be written.
    """
    with write_output(file) as temporary:
        temporary.write_text(draw_plot(rows, title), encoding="utf-8")


def draw_plot(rows: Sequence[IndexRow], title: str) -> str:
    """Return an SVG with one line per index type: recall over median latency (logarithmic)."""
    points = [point for row in rows for point in row.curve]
    lowest_recall = min(recall for recall, _ in points)
    floor = min(0.9, math.floor(lowest_recall * 10) / 10)
    min_power = math.floor(math.log10(max(1e-3, min(ms for _, ms in points))))
    max_power = max(min_power + 1, math.ceil(math.log10(max(1e-3, *(ms for _, ms in points)))))

    def scale_x(milliseconds: float) -> float:
        share = (math.log10(max(1e-3, milliseconds)) - min_power) / (max_power - min_power)
        return LEFT_MARGIN_PX + share * (WIDTH_PX - LEFT_MARGIN_PX - RIGHT_MARGIN_PX)

    def scale_y(recall: float) -> float:
        return (
            HEIGHT_PX
            - BOTTOM_MARGIN_PX
            - (recall - floor) / (1 - floor) * (HEIGHT_PX - BOTTOM_MARGIN_PX - TOP_MARGIN_PX)
        )

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH_PX} {HEIGHT_PX}" '
        'font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH_PX}" height="{HEIGHT_PX}" fill="white"/>',
        f'<text x="{LEFT_MARGIN_PX}" y="28" font-size="16">{escape(title)}</text>',
    ]
    for power in range(min_power, max_power + 1):
        tick_x = scale_x(10**power)
        parts.append(_make_line(tick_x, TOP_MARGIN_PX, tick_x, HEIGHT_PX - BOTTOM_MARGIN_PX))
        parts.append(
            _make_text(tick_x, HEIGHT_PX - BOTTOM_MARGIN_PX + 20, f"{10.0**power:g}", "middle")
        )
    for step in range(6):
        recall = floor + (1 - floor) * step / 5
        parts.append(
            _make_line(LEFT_MARGIN_PX, scale_y(recall), WIDTH_PX - RIGHT_MARGIN_PX, scale_y(recall))
        )
        parts.append(_make_text(LEFT_MARGIN_PX - 8, scale_y(recall) + 4, f"{recall:.2f}", "end"))
    parts.append(
        _make_text(
            (LEFT_MARGIN_PX + WIDTH_PX - RIGHT_MARGIN_PX) / 2,
            HEIGHT_PX - 15,
            "median latency of a query in ms",
            "middle",
        )
    )
    parts.append(_make_text(LEFT_MARGIN_PX, TOP_MARGIN_PX - 8, "recall@10", "middle"))
    for number, row in enumerate(rows):
        color = LINE_COLORS[number % len(LINE_COLORS)]
        dots = [(scale_x(ms), scale_y(recall)) for recall, ms in row.curve]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in dots)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="4" fill="{color}"/>' for x, y in dots]
        label_x, label_y = WIDTH_PX - RIGHT_MARGIN_PX + 20, TOP_MARGIN_PX + 12 + 22 * number
        parts.append(f'<text x="{label_x}" y="{label_y}" fill="{color}">{escape(row.index)}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _make_line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _make_text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text}</text>'
