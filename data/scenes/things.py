"""Name the plants, the food, the household things, the buildings and what is in space."""

from .subject import TABLES, Subject, make

THINGS: dict[str, Subject] = {
    # Plants.
    "sunflower": make("1f33b", "sunflower", 0.42, "garden hills rapeseed", plain="yellow"),
    "rose": make(
        "1f339", "rose", 0.42, "garden table", ("red", "white", "pink", "yellow"), (0.85, 0.06)
    ),
    "tulip": make(
        "1f337",
        "tulip",
        0.4,
        "garden table",
        ("", "red", "yellow", "purple"),
        (0.8, 0.98),
        plain="pink",
    ),
    "mushroom": make("1f344", "mushroom|toadstool", 0.28, "forest", ("red", "brown"), (0.85, 0.06)),
    "cactus": make("1f335", "cactus", 0.46, "desert", plain="green"),
    "palm tree": make("1f334", "palm tree|palm", 0.6, "beach desert"),
    "tree": make(
        "1f333",
        "tree|leafy tree",
        0.6,
        "hills rapeseed savanna",
        ("", "orange", "red"),
        (0.15, 0.45),
        plain="green",
    ),
    "potted plant": make(
        "1fab4", "potted plant|plant in a pot", 0.38, "living room,kitchen,library"
    ),
    "bouquet": make("1f490", "bouquet of flowers|bunch of flowers", 0.4, "table kitchen picnic"),
    # Food and drink.
    "apple": make("1f34e", "apple", 0.26, TABLES, ("red", "green", "yellow"), (0.85, 0.06)),
    "orange": make("1f34a", "orange|mandarin", 0.26, TABLES),
    "lemon": make("1f34b", "lemon", 0.26, TABLES, plain="yellow"),
    "banana": make("1f34c", "banana", 0.3, TABLES, plain="yellow"),
    "watermelon": make("1f349", "slice of watermelon|watermelon", 0.3, TABLES),
    "grapes": make(
        "1f347", "bunch of grapes", 0.3, TABLES, ("", "green"), (0.65, 0.9), plain="purple"
    ),
    "strawberry": make("1f353", "strawberry", 0.24, TABLES, plain="red"),
    "pineapple": make("1f34d", "pineapple", 0.38, TABLES),
    "carrot": make("1f955", "carrot", 0.3, "kitchen table", plain="orange"),
    "tomato": make("1f345", "tomato", 0.25, "kitchen table", plain="red"),
    "bread": make("1f35e", "loaf of bread|bread", 0.32, TABLES),
    "croissant": make("1f950", "croissant", 0.3, TABLES),
    "cheese": make("1f9c0", "piece of cheese|cheese", 0.3, TABLES, plain="yellow"),
    "pizza": make("1f355", "slice of pizza|pizza", 0.36, TABLES),
    "hamburger": make("1f354", "hamburger|burger", 0.34, TABLES),
    "cake": make(
        "1f382", "birthday cake|cake with candles", 0.42, TABLES, ("", "pink"), (0.02, 0.13)
    ),
    "doughnut": make("1f369", "doughnut|donut", 0.28, TABLES, ("", "pink"), (0.98, 0.07)),
    "ice cream": make("1f366", "ice cream|ice cream cone", 0.36, "table picnic beach"),
    "coffee": make("1f375", "cup of tea|tea cup", 0.3, "kitchen table library"),
    "beer": make("1f37a", "glass of beer|beer", 0.36, "table picnic"),
    "wine": make("1f377", "glass of red wine|wine glass", 0.4, "table picnic"),
    "noodles": make("1f35c", "bowl of noodles|noodle soup", 0.38, "table kitchen"),
    "fries": make("1f35f", "french fries|fries|chips", 0.34, "table picnic"),
    # Things.
    "books": make("1f4da", "stack of books|pile of books", 0.36, "table library"),
    "laptop": make("1f4bb", "laptop|computer", 0.38, "table library kitchen"),
    "camera": make("1f4f7", "camera", 0.32, "table library"),
    "alarm clock": make(
        "23f0", "alarm clock", 0.34, "table library", ("red", "blue", "green"), (0.85, 0.06)
    ),
    "candle": make("1f56f-fe0f", "candle|burning candle", 0.36, "table library"),
    "guitar": make(
        "1f3b8",
        "electric guitar|guitar",
        0.5,
        "stage",
        ("red", "blue", "green", "white"),
        (0.85, 0.06),
        group=False,
    ),
    "violin": make("1f3bb", "violin", 0.5, "stage library", plain="brown", group=False),
    "drum": make("1f941", "drum|snare drum", 0.42, "stage"),
    "trumpet": make("1f3ba", "trumpet", 0.4, "stage", plain="golden"),
    "teddy": make("1f9f8", "teddy bear", 0.38, "living room,garden,library", plain="brown"),
    "television": make("1f4fa", "television|old TV set", 0.38, "living room,library"),
    "chair": make(
        "1fa91",
        "wooden chair|chair",
        0.42,
        "living room,garden,beach,stage",
        ("", "red", "blue", "white"),
        plain="brown",
    ),
    "suitcase": make(
        "1f9f3",
        "suitcase",
        0.38,
        "street beach city",
        ("", "red", "green", "yellow"),
        (0.5, 0.7),
        plain="blue",
    ),
    "umbrella": make(
        "2602-fe0f",
        "umbrella",
        0.4,
        "street city",
        ("red", "blue", "yellow", "green", "purple"),
        (0.62, 0.86),
    ),
    "beach umbrella": make("26f1-fe0f", "beach umbrella|parasol", 0.46, "beach"),
    "football": make("26bd", "football|soccer ball", 0.26, "pitch garden beach street"),
    "basketball": make("1f3c0", "basketball", 0.26, "street garden", plain="orange"),
    "gift": make(
        "1f381",
        "present|gift with a ribbon",
        0.34,
        "living room,table,snowfield",
        ("", "red", "blue", "green"),
        (0.08, 0.18),
        plain="yellow",
    ),
    "christmas tree": make(
        "1f384", "Christmas tree", 0.62, "living room,snowfield,city,street", group=False
    ),
    "snowman": make("26c4", "snowman", 0.5, "snowfield"),
    "pumpkin": make(
        "1f383",
        "carved pumpkin|Halloween pumpkin",
        0.32,
        "farm garden street table",
        plain="orange",
    ),
    "sledge": make("1f6f7", "sledge|wooden sled", 0.3, "snowfield"),
    "skier": make("26f7-fe0f", "skier|person skiing", 0.44, "snowfield"),
    # Buildings.
    "house": make(
        "1f3e0", "house|little house", 0.46, "hills mountains snowfield daisies forest", group=False
    ),
    "hut": make("1f6d6", "straw hut|hut", 0.42, "beach savanna jungle"),
    "castle": make(
        "1f3f0", "castle|fairy-tale castle", 0.6, "hills mountains forest snowfield", group=False
    ),
    "church": make("26ea", "church|small church", 0.56, "hills mountains snowfield", group=False),
    "pagoda": make("1f3ef", "Japanese castle|pagoda", 0.6, "mountains tulips garden", group=False),
    "tower": make("1f5fc", "red tower|radio tower", 0.8, "city", group=False),
    "liberty": make("1f5fd", "Statue of Liberty|statue", 0.7, "harbour city", group=False),
    "ferris wheel": make("1f3a1", "Ferris wheel|big wheel", 0.66, "city beach hills", group=False),
    "carousel horse": make(
        "1f3a0", "carousel horse|merry-go-round horse", 0.5, "street city", group=False
    ),
    "fountain": make("26f2", "fountain", 0.44, "garden city street", group=False),
    "moai": make("1f5ff", "stone head|Easter Island statue", 0.5, "hills beach", plain="grey"),
    # In space.
    "rocket": make(
        "1f680", "rocket|space ship", 0.5, "space", ("red", "blue", "green"), (0.85, 0.06)
    ),
    "saturn": make("1fa90", "planet with a ring|Saturn|ringed planet", 0.56, "space", group=False),
    "earth": make("1f30d", "Earth|planet Earth|globe", 0.6, "space", group=False),
    "moon": make("1f315", "full moon|moon", 0.5, "space", group=False),
    "satellite": make("1f6f0-fe0f", "satellite", 0.44, "space"),
    "astronaut": make("1f468-200d-1f680", "astronaut", 0.5, "space"),
    "ufo": make("1f6f8", "flying saucer|UFO", 0.44, "space sky"),
    "telescope": make("1f52d", "telescope", 0.46, "hills mountains garden"),
}
