"""Name the animals."""

from .subject import WILD, Subject, make

ANIMALS: dict[str, Subject] = {
    # On a farm.
    "sheep": make(
        "1f411",
        "sheep",
        0.34,
        "hills mountains farm snowfield daisies",
        ("", "black"),
        plain="white",
    ),
    "cow": make("1f404", "cow", 0.4, "hills mountains farm rapeseed", plain="black and white"),
    "horse": make(
        "1f40e",
        "horse",
        0.48,
        "farm hills beach snowfield poppies",
        ("white", "brown", "black", "grey"),
    ),
    "pig": make("1f416", "pig", 0.34, "farm hills", plain="pink"),
    "goat": make(
        "1f410", "goat", 0.38, "mountains farm hills", ("", "white", "grey"), plain="brown"
    ),
    "rooster": make("1f413", "rooster|cockerel", 0.36, "farm garden"),
    "chick": make("1f425", "chick|baby chicken", 0.24, "farm garden", plain="yellow"),
    "rabbit": make(
        "1f407",
        "rabbit|bunny",
        0.28,
        "garden hills snowfield daisies",
        ("", "brown", "grey"),
        plain="white",
    ),
    # Pets.
    "cat": make(
        "1f408",
        "cat|kitten",
        0.36,
        "living room,garden,street,kitchen",
        ("", "white", "black", "grey"),
        plain="orange",
    ),
    "dog": make(
        "1f415",
        "dog|puppy",
        0.38,
        "living room,garden,street,beach,snowfield,hills",
        ("", "white", "black", "brown"),
        plain="golden",
    ),
    "poodle": make(
        "1f429", "poodle", 0.38, "living room,street,garden", ("", "white", "pink"), plain="grey"
    ),
    "mouse": make("1f400", "mouse", 0.22, "kitchen garden", plain="grey"),
    "parrot": make("1f99c", "parrot", 0.38, "jungle"),
    # Wild animals.
    "deer": make("1f98c", "deer|stag", 0.5, WILD + " lavender"),
    "boar": make("1f417", "wild boar", 0.36, "forest"),
    "squirrel": make("1f43f-fe0f", "squirrel", 0.3, "forest garden"),
    "hedgehog": make("1f994", "hedgehog", 0.24, "forest garden"),
    "owl": make("1f989", "owl", 0.38, "forest", plain="brown"),
    "snail": make("1f40c", "snail", 0.24, "garden forest"),
    "butterfly": make(
        "1f98b",
        "butterfly",
        0.3,
        "poppies lavender tulips daisies garden",
        ("orange", "blue", "yellow", "purple", "white"),
        (0.9, 0.12),
    ),
    "bee": make("1f41d", "bee|bumblebee", 0.24, "rapeseed daisies lavender"),
    "ladybird": make("1f41e", "ladybird|ladybug", 0.24, "daisies garden"),
    "turtle": make("1f422", "turtle|tortoise", 0.28, "beach underwater garden", plain="green"),
    "crab": make("1f980", "crab", 0.26, "beach", plain="red"),
    "shell": make("1f41a", "sea shell|shell", 0.26, "beach"),
    "flamingo": make("1f9a9", "flamingo", 0.5, "beach lake", plain="pink"),
    "crocodile": make("1f40a", "crocodile", 0.4, "jungle"),
    "monkey": make("1f412", "monkey", 0.38, "jungle", plain="brown"),
    "gorilla": make("1f98d", "gorilla", 0.48, "jungle", plain="grey"),
    "tiger": make("1f405", "tiger", 0.4, "jungle forest snowfield"),
    "leopard": make("1f406", "leopard", 0.36, "savanna jungle"),
    "elephant": make("1f418", "elephant", 0.5, "savanna jungle", plain="grey"),
    "giraffe": make("1f992", "giraffe", 0.6, "savanna"),
    "zebra": make("1f993", "zebra", 0.46, "savanna"),
    "rhino": make("1f98f", "rhinoceros|rhino", 0.44, "savanna"),
    "hippo": make("1f99b", "hippopotamus|hippo", 0.42, "savanna"),
    "camel": make("1f42a", "camel|dromedary", 0.48, "desert"),
    "llama": make("1f999", "llama|alpaca", 0.48, "mountains", plain="white"),
    "kangaroo": make("1f998", "kangaroo", 0.48, "desert savanna"),
    "snake": make("1f40d", "snake", 0.32, "desert jungle", plain="green"),
    "penguin": make("1f427", "penguin", 0.38, "ice"),
    "dinosaur": make("1f995", "dinosaur|long-necked dinosaur", 0.6, "jungle hills", plain="green"),
    # Under water.
    "fish": make(
        "1f420",
        "tropical fish|fish",
        0.32,
        "underwater",
        ("", "orange", "yellow", "red"),
        (0.5, 0.7),
        plain="blue",
    ),
    "shark": make("1f988", "shark", 0.44, "underwater"),
    "dolphin": make("1f42c", "dolphin", 0.44, "underwater sea", trim=0.0),
    "whale": make("1f433", "whale|blue whale", 0.5, "underwater sea", trim=0.04),
    "octopus": make(
        "1f419", "octopus", 0.4, "underwater", ("", "purple", "orange"), (0.85, 0.12), plain="pink"
    ),
    "puffer fish": make("1f421", "puffer fish|blowfish", 0.34, "underwater"),
    "lobster": make("1f99e", "lobster", 0.36, "underwater", plain="red"),
}
