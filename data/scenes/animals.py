"""Table of subjects: animals."""

from .subject import WILD_PLACES, Subject, make_subject

ANIMALS: dict[str, Subject] = {
    # On a farm.
    "sheep": make_subject(
        "1f411",
        "sheep",
        0.34,
        "hills mountains farm snowfield daisies",
        ("", "black"),
        natural_color="white",
    ),
    "cow": make_subject(
        "1f404", "cow", 0.4, "hills mountains farm rapeseed", natural_color="black and white"
    ),
    "horse": make_subject(
        "1f40e",
        "horse",
        0.48,
        "farm hills beach snowfield poppies",
        ("white", "brown", "black", "grey"),
    ),
    "pig": make_subject("1f416", "pig", 0.34, "farm hills", natural_color="pink"),
    "goat": make_subject(
        "1f410", "goat", 0.38, "mountains farm hills", ("", "white", "grey"), natural_color="brown"
    ),
    "rooster": make_subject("1f413", "rooster|cockerel", 0.36, "farm garden"),
    "chick": make_subject(
        "1f425", "chick|baby chicken", 0.24, "farm garden", natural_color="yellow"
    ),
    "rabbit": make_subject(
        "1f407",
        "rabbit|bunny",
        0.28,
        "garden hills snowfield daisies",
        ("", "brown", "grey"),
        natural_color="white",
    ),
    # Pets.
    "cat": make_subject(
        "1f408",
        "cat|kitten",
        0.36,
        "living room,garden,street,kitchen",
        ("", "white", "black", "grey"),
        natural_color="orange",
    ),
    "dog": make_subject(
        "1f415",
        "dog|puppy",
        0.38,
        "living room,garden,street,beach,snowfield,hills",
        ("", "white", "black", "brown"),
        natural_color="golden",
    ),
    "poodle": make_subject(
        "1f429",
        "poodle",
        0.38,
        "living room,street,garden",
        ("", "white", "pink"),
        natural_color="grey",
    ),
    "mouse": make_subject("1f400", "mouse", 0.22, "kitchen garden", natural_color="grey"),
    "parrot": make_subject("1f99c", "parrot", 0.38, "jungle"),
    # Wild animals.
    "deer": make_subject("1f98c", "deer|stag", 0.5, WILD_PLACES + " lavender"),
    "boar": make_subject("1f417", "wild boar", 0.36, "forest"),
    "squirrel": make_subject("1f43f-fe0f", "squirrel", 0.3, "forest garden"),
    "hedgehog": make_subject("1f994", "hedgehog", 0.24, "forest garden"),
    "owl": make_subject("1f989", "owl", 0.38, "forest", natural_color="brown"),
    "snail": make_subject("1f40c", "snail", 0.24, "garden forest"),
    "butterfly": make_subject(
        "1f98b",
        "butterfly",
        0.3,
        "poppies lavender tulips daisies garden",
        ("orange", "blue", "yellow", "purple", "white"),
        (0.9, 0.12),
    ),
    "bee": make_subject("1f41d", "bee|bumblebee", 0.24, "rapeseed daisies lavender"),
    "ladybird": make_subject("1f41e", "ladybird|ladybug", 0.24, "daisies garden"),
    "turtle": make_subject(
        "1f422", "turtle|tortoise", 0.28, "beach underwater garden", natural_color="green"
    ),
    "crab": make_subject("1f980", "crab", 0.26, "beach", natural_color="red"),
    "shell": make_subject("1f41a", "sea shell|shell", 0.26, "beach"),
    "flamingo": make_subject("1f9a9", "flamingo", 0.5, "beach lake", natural_color="pink"),
    "crocodile": make_subject("1f40a", "crocodile", 0.4, "jungle"),
    "monkey": make_subject("1f412", "monkey", 0.38, "jungle", natural_color="brown"),
    "gorilla": make_subject("1f98d", "gorilla", 0.48, "jungle", natural_color="grey"),
    "tiger": make_subject("1f405", "tiger", 0.4, "jungle forest snowfield"),
    "leopard": make_subject("1f406", "leopard", 0.36, "savanna jungle"),
    "elephant": make_subject("1f418", "elephant", 0.5, "savanna jungle", natural_color="grey"),
    "giraffe": make_subject("1f992", "giraffe", 0.6, "savanna"),
    "zebra": make_subject("1f993", "zebra", 0.46, "savanna"),
    "rhino": make_subject("1f98f", "rhinoceros|rhino", 0.44, "savanna"),
    "hippo": make_subject("1f99b", "hippopotamus|hippo", 0.42, "savanna"),
    "camel": make_subject("1f42a", "camel|dromedary", 0.48, "desert"),
    "llama": make_subject("1f999", "llama|alpaca", 0.48, "mountains", natural_color="white"),
    "kangaroo": make_subject("1f998", "kangaroo", 0.48, "desert savanna"),
    "snake": make_subject("1f40d", "snake", 0.32, "desert jungle", natural_color="green"),
    "penguin": make_subject("1f427", "penguin", 0.38, "ice"),
    "dinosaur": make_subject(
        "1f995", "dinosaur|long-necked dinosaur", 0.6, "jungle hills", natural_color="green"
    ),
    # Under water.
    "fish": make_subject(
        "1f420",
        "tropical fish|fish",
        0.32,
        "underwater",
        ("", "orange", "yellow", "red"),
        (0.5, 0.7),
        natural_color="blue",
    ),
    "shark": make_subject("1f988", "shark", 0.44, "underwater"),
    "dolphin": make_subject("1f42c", "dolphin", 0.44, "underwater sea", trim=0.0),
    "whale": make_subject("1f433", "whale|blue whale", 0.5, "underwater sea", trim=0.04),
    "octopus": make_subject(
        "1f419",
        "octopus",
        0.4,
        "underwater",
        ("", "purple", "orange"),
        (0.85, 0.12),
        natural_color="pink",
    ),
    "puffer fish": make_subject("1f421", "puffer fish|blowfish", 0.34, "underwater"),
    "lobster": make_subject("1f99e", "lobster", 0.36, "underwater", natural_color="red"),
}
