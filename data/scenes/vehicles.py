"""Table of subjects: boats, vehicles and aircraft."""

from .subject import PAINT_COLORS, TOWN_PLACES, WATER_PLACES, Subject, make_subject

VEHICLES: dict[str, Subject] = {
    # On the water.
    "sailboat": make_subject(
        "26f5",
        "sailing boat|sailboat|yacht|boat",
        0.5,
        WATER_PLACES,
        PAINT_COLORS[1:],
        (0.0, 0.19),
        0.17,
    ),
    "speedboat": make_subject("1f6a4", "speedboat|motor boat|boat", 0.32, WATER_PLACES, trim=0.2),
    "ship": make_subject("1f6a2", "ship|cruise ship|big ship", 0.46, "sea harbour", trim=0.17),
    "canoe": make_subject("1f6f6", "canoe|rowing boat", 0.26, "lake sea", trim=0.2),
    "surfer": make_subject(
        "1f3c4-1f3fd", "surfer|man surfing|person on a surfboard", 0.42, "sea", trim=0.05
    ),
    "swan": make_subject("1f9a2", "swan", 0.32, "lake harbour", (), None, 0.06, "white"),
    "duck": make_subject("1f986", "duck", 0.28, "lake harbour garden", trim=0.05),
    # On wheels and rails.
    "car": make_subject(
        "1f697",
        "car|little car",
        0.36,
        TOWN_PLACES + " beach desert mountains snowfield",
        PAINT_COLORS[1:],
        (0.85, 0.06),
    ),
    "jeep": make_subject(
        "1f699",
        "jeep|off-road car|SUV",
        0.38,
        "desert savanna mountains snowfield",
        ("", "red", "green", "white"),
        (0.5, 0.68),
        natural_color="blue",
    ),
    "taxi": make_subject("1f695", "taxi|yellow cab", 0.36, "city street", natural_color="yellow"),
    "bus": make_subject(
        "1f68c",
        "bus|coach",
        0.42,
        "city street road",
        ("", "red", "blue", "green"),
        (0.05, 0.17),
        natural_color="yellow",
    ),
    "fire engine": make_subject(
        "1f692", "fire engine|fire truck", 0.42, "city street", natural_color="red"
    ),
    "ambulance": make_subject("1f691", "ambulance", 0.4, "city street"),
    "police car": make_subject("1f693", "police car", 0.36, "city street road"),
    "truck": make_subject(
        "1f69a",
        "truck|lorry",
        0.42,
        "road city desert",
        ("", "red", "blue", "green"),
        (0.06, 0.17),
        natural_color="yellow",
    ),
    "tractor": make_subject(
        "1f69c",
        "tractor",
        0.42,
        "farm hills rapeseed road",
        ("", "red", "blue", "yellow"),
        (0.3, 0.5),
        natural_color="green",
    ),
    "bicycle": make_subject(
        "1f6b2",
        "bicycle|bike",
        0.36,
        "street garden road hills beach lavender",
        PAINT_COLORS[1:6],
        (0.85, 0.06),
    ),
    "scooter": make_subject(
        "1f6f5",
        "scooter|motor scooter|vespa",
        0.36,
        "street city beach",
        ("red", "blue", "green", "yellow"),
        (0.85, 0.06),
    ),
    "motorbike": make_subject(
        "1f3cd-fe0f",
        "motorbike|motorcycle",
        0.36,
        "road city desert",
        ("red", "blue", "green"),
        (0.85, 0.06),
    ),
    "cyclist": make_subject(
        "1f6b4-1f3fc",
        "cyclist|man riding a bicycle|person on a bike",
        0.46,
        "road mountains hills street city",
    ),
    "runner": make_subject(
        "1f3c3-1f3fd", "runner|jogger|person running", 0.46, "beach road city pitch hills forest"
    ),
    "steam train": make_subject(
        "1f682", "steam train|locomotive|old train", 0.5, "railway", can_be_many=False
    ),
    "tram": make_subject(
        "1f683",
        "tram|railway carriage",
        0.44,
        "city street",
        ("", "red", "blue", "green"),
        (0.08, 0.2),
        natural_color="yellow",
        can_be_many=False,
    ),
    # In the air.
    "aeroplane": make_subject("2708-fe0f", "aeroplane|plane|airplane", 0.42, "sky"),
    "helicopter": make_subject("1f681", "helicopter", 0.4, "sky"),
    "parachute": make_subject("1fa82", "parachutist|parachute", 0.46, "sky"),
    "balloon": make_subject(
        "1f388", "balloon|party balloon", 0.42, "sky", (*PAINT_COLORS[1:6], "pink"), (0.85, 0.06)
    ),
    "kite": make_subject("1fa81", "kite", 0.46, "sky"),
    "eagle": make_subject("1f985", "eagle|bird of prey", 0.4, "sky"),
    "rainbow": make_subject(
        "", "rainbow", 0.6, "hills mountains sea farm road lake", can_be_many=False
    ),
    "dove": make_subject("1f54a-fe0f", "dove|white bird", 0.36, "sky", natural_color="white"),
}
