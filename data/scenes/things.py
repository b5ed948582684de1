"""Table of subjects: plants, food, household objects, buildings, and objects in space."""

from .subject import TABLE_PLACES, Subject, make_subject

THINGS: dict[str, Subject] = {
    # Plants.
    "sunflower": make_subject(
        "1f33b", "sunflower", 0.42, "garden hills rapeseed", natural_color="yellow"
    ),
    "rose": make_subject(
        "1f339", "rose", 0.42, "garden table", ("red", "white", "pink", "yellow"), (0.85, 0.06)
    ),
    "tulip": make_subject(
        "1f337",
        "tulip",
        0.4,
        "garden table",
        ("", "red", "yellow", "purple"),
        (0.8, 0.98),
        natural_color="pink",
    ),
    "mushroom": make_subject(
        "1f344", "mushroom|toadstool", 0.28, "forest", ("red", "brown"), (0.85, 0.06)
    ),
    "cactus": make_subject("1f335", "cactus", 0.46, "desert", natural_color="green"),
    "palm tree": make_subject("1f334", "palm tree|palm", 0.6, "beach desert"),
    "tree": make_subject(
        "1f333",
        "tree|leafy tree",
        0.6,
        "hills rapeseed savanna",
        ("", "orange", "red"),
        (0.15, 0.45),
        natural_color="green",
    ),
    "potted plant": make_subject(
        "1fab4", "potted plant|plant in a pot", 0.38, "living room,kitchen,library"
    ),
    "bouquet": make_subject(
        "1f490", "bouquet of flowers|bunch of flowers", 0.4, "table kitchen picnic"
    ),
    # Food and drink.
    "apple": make_subject(
        "1f34e", "apple", 0.26, TABLE_PLACES, ("red", "green", "yellow"), (0.85, 0.06)
    ),
    "orange": make_subject("1f34a", "orange|mandarin", 0.26, TABLE_PLACES),
    "lemon": make_subject("1f34b", "lemon", 0.26, TABLE_PLACES, natural_color="yellow"),
    "banana": make_subject("1f34c", "banana", 0.3, TABLE_PLACES, natural_color="yellow"),
    "watermelon": make_subject("1f349", "slice of watermelon|watermelon", 0.3, TABLE_PLACES),
    "grapes": make_subject(
        "1f347",
        "bunch of grapes",
        0.3,
        TABLE_PLACES,
        ("", "green"),
        (0.65, 0.9),
        natural_color="purple",
    ),
    "strawberry": make_subject("1f353", "strawberry", 0.24, TABLE_PLACES, natural_color="red"),
    "pineapple": make_subject("1f34d", "pineapple", 0.38, TABLE_PLACES),
    "carrot": make_subject("1f955", "carrot", 0.3, "kitchen table", natural_color="orange"),
    "tomato": make_subject("1f345", "tomato", 0.25, "kitchen table", natural_color="red"),
    "bread": make_subject("1f35e", "loaf of bread|bread", 0.32, TABLE_PLACES),
    "croissant": make_subject("1f950", "croissant", 0.3, TABLE_PLACES),
    "cheese": make_subject(
        "1f9c0", "piece of cheese|cheese", 0.3, TABLE_PLACES, natural_color="yellow"
    ),
    "pizza": make_subject("1f355", "slice of pizza|pizza", 0.36, TABLE_PLACES),
    "hamburger": make_subject("1f354", "hamburger|burger", 0.34, TABLE_PLACES),
    "cake": make_subject(
        "1f382", "birthday cake|cake with candles", 0.42, TABLE_PLACES, ("", "pink"), (0.02, 0.13)
    ),
    "doughnut": make_subject(
        "1f369", "doughnut|donut", 0.28, TABLE_PLACES, ("", "pink"), (0.98, 0.07)
    ),
    "ice cream": make_subject("1f366", "ice cream|ice cream cone", 0.36, "table picnic beach"),
    "coffee": make_subject("1f375", "cup of tea|tea cup", 0.3, "kitchen table library"),
    "beer": make_subject("1f37a", "glass of beer|beer", 0.36, "table picnic"),
    "wine": make_subject("1f377", "glass of red wine|wine glass", 0.4, "table picnic"),
    "noodles": make_subject("1f35c", "bowl of noodles|noodle soup", 0.38, "table kitchen"),
    "fries": make_subject("1f35f", "french fries|fries|chips", 0.34, "table picnic"),
    # Household objects.
    "books": make_subject("1f4da", "stack of books|pile of books", 0.36, "table library"),
    "laptop": make_subject("1f4bb", "laptop|computer", 0.38, "table library kitchen"),
    "camera": make_subject("1f4f7", "camera", 0.32, "table library"),
    "alarm clock": make_subject(
        "23f0", "alarm clock", 0.34, "table library", ("red", "blue", "green"), (0.85, 0.06)
    ),
    "candle": make_subject("1f56f-fe0f", "candle|burning candle", 0.36, "table library"),
    "guitar": make_subject(
        "1f3b8",
        "electric guitar|guitar",
        0.5,
        "stage",
        ("red", "blue", "green", "white"),
        (0.85, 0.06),
        can_be_many=False,
    ),
    "violin": make_subject(
        "1f3bb", "violin", 0.5, "stage library", natural_color="brown", can_be_many=False
    ),
    "drum": make_subject("1f941", "drum|snare drum", 0.42, "stage"),
    "trumpet": make_subject("1f3ba", "trumpet", 0.4, "stage", natural_color="golden"),
    "teddy": make_subject(
        "1f9f8", "teddy bear", 0.38, "living room,garden,library", natural_color="brown"
    ),
    "television": make_subject("1f4fa", "television|old TV set", 0.38, "living room,library"),
    "chair": make_subject(
        "1fa91",
        "wooden chair|chair",
        0.42,
        "living room,garden,beach,stage",
        ("", "red", "blue", "white"),
        natural_color="brown",
    ),
    "suitcase": make_subject(
        "1f9f3",
        "suitcase",
        0.38,
        "street beach city",
        ("", "red", "green", "yellow"),
        (0.5, 0.7),
        natural_color="blue",
    ),
    "umbrella": make_subject(
        "2602-fe0f",
        "umbrella",
        0.4,
        "street city",
        ("red", "blue", "yellow", "green", "purple"),
        (0.62, 0.86),
    ),
    "beach umbrella": make_subject("26f1-fe0f", "beach umbrella|parasol", 0.46, "beach"),
    "football": make_subject("26bd", "football|soccer ball", 0.26, "pitch garden beach street"),
    "basketball": make_subject(
        "1f3c0", "basketball", 0.26, "street garden", natural_color="orange"
    ),
    "gift": make_subject(
        "1f381",
        "present|gift with a ribbon",
        0.34,
        "living room,table,snowfield",
        ("", "red", "blue", "green"),
        (0.08, 0.18),
        natural_color="yellow",
    ),
    "christmas tree": make_subject(
        "1f384", "Christmas tree", 0.62, "living room,snowfield,city,street", can_be_many=False
    ),
    "snowman": make_subject("26c4", "snowman", 0.5, "snowfield"),
    "pumpkin": make_subject(
        "1f383",
        "carved pumpkin|Halloween pumpkin",
        0.32,
        "farm garden street table",
        natural_color="orange",
    ),
    "sledge": make_subject("1f6f7", "sledge|wooden sled", 0.3, "snowfield"),
    "skier": make_subject("26f7-fe0f", "skier|person skiing", 0.44, "snowfield"),
    # Buildings.
    "house": make_subject(
        "1f3e0",
        "house|little house",
        0.46,
        "hills mountains snowfield daisies forest",
        can_be_many=False,
    ),
    "hut": make_subject("1f6d6", "straw hut|hut", 0.42, "beach savanna jungle"),
    "castle": make_subject(
        "1f3f0",
        "castle|fairy-tale castle",
        0.6,
        "hills mountains forest snowfield",
        can_be_many=False,
    ),
    "church": make_subject(
        "26ea", "church|small church", 0.56, "hills mountains snowfield", can_be_many=False
    ),
    "pagoda": make_subject(
        "1f3ef", "Japanese castle|pagoda", 0.6, "mountains tulips garden", can_be_many=False
    ),
    "tower": make_subject("1f5fc", "red tower|radio tower", 0.8, "city", can_be_many=False),
    "liberty": make_subject(
        "1f5fd", "Statue of Liberty|statue", 0.7, "harbour city", can_be_many=False
    ),
    "ferris wheel": make_subject(
        "1f3a1", "Ferris wheel|big wheel", 0.66, "city beach hills", can_be_many=False
    ),
    "carousel horse": make_subject(
        "1f3a0", "carousel horse|merry-go-round horse", 0.5, "street city", can_be_many=False
    ),
    "fountain": make_subject("26f2", "fountain", 0.44, "garden city street", can_be_many=False),
    "moai": make_subject(
        "1f5ff", "stone head|Easter Island statue", 0.5, "hills beach", natural_color="grey"
    ),
    # In space.
    "rocket": make_subject(
        "1f680", "rocket|space ship", 0.5, "space", ("red", "blue", "green"), (0.85, 0.06)
    ),
    "saturn": make_subject(
        "1fa90", "planet with a ring|Saturn|ringed planet", 0.56, "space", can_be_many=False
    ),
    "earth": make_subject("1f30d", "Earth|planet Earth|globe", 0.6, "space", can_be_many=False),
    "moon": make_subject("1f315", "full moon|moon", 0.5, "space", can_be_many=False),
    "satellite": make_subject("1f6f0-fe0f", "satellite", 0.44, "space"),
    "astronaut": make_subject("1f468-200d-1f680", "astronaut", 0.5, "space"),
    "ufo": make_subject("1f6f8", "flying saucer|UFO", 0.44, "space sky"),
    "telescope": make_subject("1f52d", "telescope", 0.46, "hills mountains garden"),
}
