"""Draw more kinds of pairs that differ in a small thing: no limit was chosen with these kinds."""

from __future__ import annotations

import math
from collections.abc import Callable

from PIL import Image, ImageChops, ImageDraw, ImageFilter
from PIL.Image import Image as Picture

from support.look_alikes import Draw, Pair, Pen
from support.more_copies import CAPTIONS, write_any_caption

LETTERS, DIGITS = "ABCDEFGHKLMNPRSTUVWXYZ", "0123456789"
SUBTITLES = (
    "We should leave tomorrow.",
    "I have never seen him before.",
    "Where did you find the key?",
    "She said the train was late.",
    "It is not far from here.",
    "Nobody told us about it.",
)
NAMES = ("Miller", "Tanaka", "Okafor", "Rossi", "Novak", "Silva", "Dubois", "Larsen", "Haddad")
GOODS = ("bread", "milk", "apples", "coffee", "soap", "rice", "tea", "cheese", "paper", "salt")


def _change_one(text: str, pen: Pen) -> str:
    """Return a text with one letter or digit replaced by another."""
    places = [place for place, letter in enumerate(text) if letter in LETTERS + DIGITS]
    place = pen.choice(places)
    letters = LETTERS if text[place] in LETTERS else DIGITS
    return text[:place] + pen.choice(letters.replace(text[place], "")) + text[place + 1 :]


def _paste_label(
    picture: Picture, label: Picture, center: tuple[float, float], angle: float
) -> Picture:
    """Return a picture with a label on it, turned by an angle in degrees and slightly blurred."""
    mask = Image.new("L", label.size, 255).rotate(angle, Image.Resampling.BICUBIC, expand=True)
    turned = label.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    turned = turned.filter(ImageFilter.GaussianBlur(0.5))
    result = picture.copy()
    x, y = round(center[0] - turned.width / 2), round(center[1] - turned.height / 2)
    result.paste(turned, (x, y), mask)
    return result


def _draw_labels(
    picture: Picture, pen: Pen, texts: tuple[str, str], colors: tuple[str, str], height: float
) -> Pair:
    """Draw a label with each text at one place; height: a share of the picture's height."""
    size = max(12, round(picture.height * height))
    font = pen.load_font(size)
    angle = pen.uniform(-12, 12)
    width = round(max(font.getlength(text) for text in texts) + size)
    center = (
        pen.uniform(width / 2, max(width / 2 + 1, picture.width - width / 2)),
        pen.uniform(1.5 * size, picture.height - 1.5 * size),
    )
    pair = []
    for text in texts:
        label = Image.new("RGB", (width, round(1.6 * size)), colors[0])
        draw = ImageDraw.Draw(label)
        draw.rectangle((1, 1, label.width - 2, label.height - 2), outline=colors[1], width=2)
        draw.text((size / 2, 0.15 * size), text, fill=colors[1], font=font)
        pair.append(_paste_label(picture, label, center, angle))
    return pair[0], pair[1]


def draw_number_plates(picture: Picture, pen: Pen) -> Pair:
    """Draw a number plate of which one letter or digit differs."""
    text = "".join(pen.choices(LETTERS, k=2)) + " " + "".join(pen.choices(DIGITS, k=4))
    return _draw_labels(picture, pen, (text, _change_one(text, pen)), ("#f4f4f0", "#101010"), 0.05)


def draw_price_tags(picture: Picture, pen: Pen) -> Pair:
    """Draw a price of which one digit differs."""
    text = f"{pen.randrange(1, 99)}.{pen.randrange(10, 99)} EUR"
    digit = _change_one(text[:-4], pen) + " EUR"
    return _draw_labels(picture, pen, (text, digit), ("#fff3a0", "#b01010"), 0.045)


def draw_name_badges(picture: Picture, pen: Pen) -> Pair:
    """Draw a label with another name."""
    one, other = pen.sample(NAMES, 2)
    colors = pen.choice((("#204080", "#ffffff"), ("#ffffff", "#103010"), ("#303030", "#f0d060")))
    return _draw_labels(picture, pen, (one, other), colors, 0.06)


def draw_subtitles(picture: Picture, pen: Pen) -> Pair:
    """Write another sentence at the bottom of each picture."""
    pair, color = [], pen.choice(("white", "#ffe040"))
    for text in pen.sample(SUBTITLES, 2):
        subtitled = picture.copy()
        draw, size = ImageDraw.Draw(subtitled), round(picture.height * 0.055)
        font = pen.load_font(size)
        x = (picture.width - font.getlength(text)) / 2
        place = (x, picture.height - 2 * size)
        draw.text(place, text, color, font, stroke_width=2, stroke_fill="black")
        pair.append(subtitled)
    return pair[0], pair[1]


def draw_captions(picture: Picture, pen: Pen) -> Pair:
    """Write another caption in the same style into each picture."""
    seed, texts = pen.random(), pen.sample(CAPTIONS, 2)
    one, other = (write_any_caption(picture, Pen(seed, pen.font), text) for text in texts)
    return one, other


def draw_scores(picture: Picture, pen: Pen) -> Pair:
    """Draw a scoreboard in a corner, with another score or time."""
    size = round(picture.height * 0.045)
    score = [pen.randrange(10), pen.randrange(10), pen.randrange(10, 60), pen.randrange(10, 60)]
    other = list(score)
    place = pen.randrange(4)
    other[place] = score[place] % 9 + 1
    pair = []
    for values in (score, other):
        board = picture.copy()
        draw, text = ImageDraw.Draw(board), "HOM {}:{} GST  {}:{}".format(*values)
        font = pen.load_font(size)
        draw.rectangle((size, size, 2 * size + font.getlength(text), 2.6 * size), fill="#101830")
        draw.text((1.5 * size, 1.1 * size), text, fill="white", font=font)
        pair.append(board)
    return pair[0], pair[1]


def draw_clocks(picture: Picture, pen: Pen) -> Pair:
    """Draw a clock that shows another time."""
    side = round(min(picture.size) * pen.uniform(0.1, 0.2))
    x, y = (pen.randrange(length - side) for length in picture.size)
    hour, minute = pen.randrange(12), 5 * pen.randrange(12)
    other_minute = (minute + 5 * pen.randrange(2, 11)) % 60
    pair = []
    for shown in (minute, other_minute):
        scene = picture.copy()
        draw = ImageDraw.Draw(scene)
        draw.ellipse((x, y, x + side, y + side), fill="#f8f6ee", outline="#202020", width=3)
        for turn, length, width in ((hour / 12 + shown / 720, 0.25, 4), (shown / 60, 0.4, 3)):
            angle = 2 * math.pi * turn
            end = (
                x + side * (0.5 + length * math.sin(angle)),
                y + side * (0.5 - length * math.cos(angle)),
            )
            draw.line((x + side / 2, y + side / 2, *end), fill="#101010", width=width)
        pair.append(scene)
    return pair[0], pair[1]


def draw_arrows(picture: Picture, pen: Pen) -> Pair:
    """Draw a road sign whose arrow points to the other side."""
    side = round(min(picture.size) * pen.uniform(0.07, 0.13))
    x, y = (pen.randrange(length - side) for length in picture.size)
    sign = Image.new("RGB", (side, side), "#1050a0")
    draw = ImageDraw.Draw(sign)
    draw.line((0.2 * side, 0.5 * side, 0.8 * side, 0.5 * side), fill="white", width=side // 8)
    head = [(0.55 * side, 0.2 * side), (0.9 * side, 0.5 * side), (0.55 * side, 0.8 * side)]
    draw.polygon(head, fill="white")
    pair = []
    for shown in (sign, sign.transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
        scene = picture.copy()
        scene.paste(shown, (x, y))
        pair.append(scene)
    return pair[0], pair[1]


def draw_lamps(picture: Picture, pen: Pen) -> Pair:
    """Draw a traffic light, red in one picture and green in the other."""
    unit = max(8, round(min(picture.size) * pen.uniform(0.03, 0.05)))
    x, y = pen.randrange(picture.width - 2 * unit), pen.randrange(picture.height - 5 * unit)
    pair = []
    for lit in (0, 2):
        scene = picture.copy()
        draw = ImageDraw.Draw(scene)
        draw.rectangle((x, y, x + 1.6 * unit, y + 4.2 * unit), fill="#181818")
        for number, color in enumerate(("#ff2818", "#ffc010", "#20e060")):
            top = y + (0.3 + 1.3 * number) * unit
            place = (x + 0.3 * unit, top, x + 1.3 * unit, top + unit)
            draw.ellipse(place, fill=color if number == lit else "#303030")
        pair.append(scene)
    return pair[0], pair[1]


def draw_expressions(picture: Picture, pen: Pen) -> Pair:
    """Draw a face with open and with closed eyes, or with another mouth."""
    side = round(min(picture.size) * pen.uniform(0.14, 0.24))
    x, y = (pen.randrange(length - side) for length in picture.size)
    skin = pen.choice(("#e8b898", "#a06a48", "#5a3820"))
    change, pair = pen.choice(("eyes", "mouth")), []
    for is_changed in (False, True):
        scene = picture.copy()
        draw = ImageDraw.Draw(scene)
        draw.ellipse((x, y, x + side, y + side), fill=skin)
        for eye in (0.33, 0.67):
            left, top, radius = x + eye * side, y + 0.4 * side, 0.07 * side
            if is_changed and change == "eyes":
                draw.line((left - radius, top, left + radius, top), fill="#181010", width=2)
            else:
                draw.ellipse(
                    (left - radius, top - radius, left + radius, top + radius), fill="#f8f8f8"
                )
                radius /= 2
                draw.ellipse(
                    (left - radius, top - radius, left + radius, top + radius), fill="#181010"
                )
        mouth = (x + 0.3 * side, y + 0.6 * side, x + 0.7 * side, y + 0.8 * side)
        angles = (200, 340) if is_changed and change == "mouth" else (20, 160)
        draw.arc(mouth, *angles, fill="#801818", width=3)
        pair.append(scene.filter(ImageFilter.GaussianBlur(0.4)))
    return pair[0], pair[1]


def _make_soft_mask(width: int, height: int, blur_px: float) -> Picture:
    mask = Image.new("L", (width, height))
    edge = 2 * blur_px
    ImageDraw.Draw(mask).ellipse((edge, edge, width - edge, height - edge), fill=255)
    return mask.filter(ImageFilter.GaussianBlur(blur_px))


def move_part(picture: Picture, pen: Pen) -> Pair:
    """Move an object with a soft edge, cut from another place of the picture, by some pixels."""
    side = round(min(picture.size) * pen.uniform(0.12, 0.25))
    x, y = (pen.randrange(length - side) for length in picture.size)
    left, top = (pen.randrange(side // 2, length - 3 * side // 2) for length in picture.size)
    step, angle = pen.uniform(0.15, 0.5) * side, pen.uniform(0, 2 * math.pi)
    part = picture.crop((x, y, x + side, y + side)).transpose(Image.Transpose.ROTATE_90)
    mask, pair = _make_soft_mask(side, side, 2), []
    for share in (0, 1):
        place = (
            round(left + share * step * math.cos(angle)),
            round(top + share * step * math.sin(angle)),
        )
        scene = picture.copy()
        scene.paste(part, place, mask)
        pair.append(scene)
    return pair[0], pair[1]


def add_person(picture: Picture, pen: Pen) -> Pair:
    """Draw a small person far away, in one picture only."""
    height = round(picture.height * pen.uniform(0.1, 0.2))
    width = round(0.4 * height)
    x, y = pen.randrange(picture.width - width), pen.randrange(picture.height - height)
    person = picture.copy()
    draw = ImageDraw.Draw(person)
    coat = pen.choice(("#302838", "#903028", "#284878", "#d8d0c0"))
    draw.ellipse((x + 0.3 * width, y, x + 0.7 * width, y + 0.18 * height), fill="#c89878")
    draw.polygon(
        [
            (x + 0.2 * width, y + 0.2 * height),
            (x + 0.8 * width, y + 0.2 * height),
            (x + 0.7 * width, y + 0.62 * height),
            (x + 0.3 * width, y + 0.62 * height),
        ],
        fill=coat,
    )
    for leg in (0.35, 0.55):
        left = x + leg * width
        draw.rectangle((left, y + 0.6 * height, left + 0.13 * width, y + height), fill="#20242c")
    box = (x - 4, y - 4, x + width + 4, y + height + 4)
    person.paste(person.crop(box).filter(ImageFilter.GaussianBlur(0.7)), box[:2])
    return picture, person


def light_window(picture: Picture, pen: Pen) -> Pair:
    """Brighten or darken a small rectangle, as if a light was switched."""
    width = round(min(picture.size) * pen.uniform(0.06, 0.1))
    x, y = pen.randrange(picture.width - width), pen.randrange(picture.height - 2 * width)
    box = (x, y, x + width, y + round(1.4 * width))
    part = picture.crop(box)
    if sum(part.convert("L").resize((1, 1)).tobytes()) < 128:
        part = ImageChops.add(part, Image.new("RGB", part.size, "#908040"))
    else:
        part = part.point(lambda level: level * 0.45)
    lit = picture.copy()
    lit.paste(part, box[:2])
    return picture, lit


def add_wire(picture: Picture, pen: Pen) -> Pair:
    """Draw a thin pole or wire across a part of one picture."""
    x, y = (pen.uniform(0.1, 0.6) * length for length in picture.size)
    angle, length = pen.uniform(0, math.pi / 2), 0.35 * min(picture.size)
    is_dark = sum(picture.convert("L").resize((1, 1)).tobytes()) > 110
    crossed = picture.copy()
    ImageDraw.Draw(crossed).line(
        (x, y, x + length * math.cos(angle), y + length * math.sin(angle)),
        fill="#101010" if is_dark else "#f0f0f0",
        width=max(3, round(min(picture.size) / 160)),
    )
    return picture, crossed


def turn_part_around(picture: Picture, pen: Pen) -> Pair:
    """Turn a round part of the picture by some degrees, as a head that tilts."""
    side = round(min(picture.size) * pen.uniform(0.12, 0.22))
    x, y = (pen.randrange(length - side) for length in picture.size)
    part = picture.crop((x, y, x + side, y + side))
    turned = picture.copy()
    tilted = part.rotate(pen.choice((-1, 1)) * pen.uniform(15, 40), Image.Resampling.BICUBIC)
    turned.paste(tilted, (x, y), _make_soft_mask(side, side, 1.5))
    return picture, turned


MORE_PHOTO_KINDS: dict[str, Draw] = {
    "number plate": draw_number_plates,
    "price tag": draw_price_tags,
    "name badge": draw_name_badges,
    "subtitle": draw_subtitles,
    "score": draw_scores,
    "clock": draw_clocks,
    "arrow": draw_arrows,
    "traffic light": draw_lamps,
    "expression": draw_expressions,
    "part moved": move_part,
    "person added": add_person,
    "window lit": light_window,
    "wire added": add_wire,
    "part tilted": turn_part_around,
    "other caption": draw_captions,
}


def draw_receipts(pen: Pen) -> Pair:
    """Draw a receipt twice, with another price of one article."""
    width = pen.choice((420, 560, 640))
    rows = [
        (pen.choice(GOODS), f"{pen.randrange(1, 30)}.{pen.randrange(10, 99)}") for _ in range(14)
    ]
    place, unit, pair = pen.randrange(len(rows)), width // 20, []
    other = list(rows)
    other[place] = (rows[place][0], _change_one(rows[place][1], pen))
    for lines in (rows, other):
        paper = Image.new("RGB", (width, 26 * unit), "#f7f5f0")
        draw = ImageDraw.Draw(paper)
        draw.text((6 * unit, unit), "CORNER SHOP", fill="#181818", font=pen.load_font(unit))
        for number, (name, price) in enumerate(lines):
            y = (3.5 + 1.5 * number) * unit
            draw.text((unit, y), name, fill="#181818", font=pen.load_font(unit))
            draw.text((14 * unit, y), price, fill="#181818", font=pen.load_font(unit))
        pair.append(paper)
    return pair[0], pair[1]


def draw_tables(pen: Pen) -> Pair:
    """Draw a table of numbers twice, with one other digit."""
    columns, lines = pen.randrange(4, 8), pen.randrange(14, 26)
    cells = [[str(pen.randrange(100, 99999)) for _ in range(columns)] for _ in range(lines)]
    line, column = pen.randrange(lines), pen.randrange(columns)
    changed = _change_one(cells[line][column], pen)
    width = pen.choice((900, 1200, 1500))
    step, unit, pair = width // columns, width // 55, []
    for is_changed in (False, True):
        sheet = Image.new("RGB", (width, round((lines + 2) * 2 * unit)), "white")
        draw = ImageDraw.Draw(sheet)
        for row, values in enumerate(cells):
            y = (2 * row + 1) * unit
            draw.line((0, y - 0.4 * unit, width, y - 0.4 * unit), fill="#c0c0c0")
            for number, value in enumerate(values):
                is_here = is_changed and (row, number) == (line, column)
                text = changed if is_here else value
                draw.text((number * step + unit, y), text, fill="#101010", font=pen.load_font(unit))
        pair.append(sheet)
    return pair[0], pair[1]


def draw_dark_chats(pen: Pen) -> Pair:
    """Draw a dark chat twice, with one other message."""
    size = pen.choice(((720, 1280), (828, 1472)))
    unit, changed, pair = size[0] // 28, pen.randrange(8), []
    texts = [pen.choice(SUBTITLES) for _ in range(8)]
    other = list(texts)
    other[changed] = pen.choice([text for text in SUBTITLES if text != texts[changed]])
    for messages in (texts, other):
        chat = Image.new("RGB", size, "#10141a")
        draw = ImageDraw.Draw(chat)
        draw.text((4 * unit, unit), "Football club", fill="#e8e8e8", font=pen.load_font(unit))
        for row, message in enumerate(messages):
            left, top = (unit, 8 * unit)[row % 2], (4 + 4.5 * row) * unit
            fill = ("#202c33", "#005c4b")[row % 2]
            draw.rounded_rectangle((left, top, left + 18 * unit, top + 3.4 * unit), 12, fill=fill)
            place = (left + unit, top + 0.9 * unit)
            draw.text(place, message, fill="#e8f0f0", font=pen.load_font(unit))
        pair.append(chat)
    return pair[0], pair[1]


def draw_tickets(pen: Pen) -> Pair:
    """Draw a ticket with few words and a bar code, with another seat."""
    seat = f"ROW {pen.randrange(1, 40)} SEAT {pen.choice('ABCDEF')}"
    bars = [pen.randrange(1, 5) for _ in range(60)]
    ground, pair = pen.choice(("#ffffff", "#e0f0ff", "#fff0d8")), []
    for text in (seat, _change_one(seat[:7], pen) + seat[7:]):
        ticket = Image.new("RGB", (1000, 420), ground)
        draw = ImageDraw.Draw(ticket)
        draw.text((40, 30), "CITY THEATRE", fill="#202060", font=pen.load_font(60))
        draw.text((40, 150), text, fill="#101010", font=pen.load_font(48))
        draw.text((40, 260), "Saturday evening", fill="#404040", font=pen.load_font(36))
        x = 620
        for number, width in enumerate(bars):
            if number % 2:
                draw.rectangle((x, 60, x + width, 360), fill="#101010")
            x += width + 2
        pair.append(ticket)
    return pair[0], pair[1]


def draw_charts(pen: Pen) -> Pair:
    """Draw a bar chart of which one bar is higher."""
    heights = [pen.randrange(60, 380) for _ in range(9)]
    other, place = list(heights), pen.randrange(9)
    other[place] = heights[place] + pen.choice((-40, -25, 25, 40))
    color, pair = pen.choice(("#3070b0", "#c05020", "#409050")), []
    for values in (heights, other):
        chart = Image.new("RGB", (900, 560), "white")
        draw = ImageDraw.Draw(chart)
        draw.text((60, 20), "Sales by month", fill="#202020", font=pen.load_font(32))
        for number, value in enumerate(values):
            x = 70 + 88 * number
            draw.rectangle((x, 500 - value, x + 56, 500), fill=color)
            draw.text((x + 10, 510), f"{number + 1:02}", fill="#404040", font=pen.load_font(22))
        pair.append(chart)
    return pair[0], pair[1]


MORE_DOCUMENT_KINDS: dict[str, Callable[[Pen], Pair]] = {
    "price in a receipt": draw_receipts,
    "digit in a table": draw_tables,
    "message of a dark chat": draw_dark_chats,
    "seat of a ticket": draw_tickets,
    "bar of a chart": draw_charts,
}
