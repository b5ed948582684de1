"""Combine all subjects in one table, SUBJECTS."""

from .animals import ANIMALS
from .subject import Subject
from .things import THINGS
from .vehicles import VEHICLES

SUBJECTS: dict[str, Subject] = {**VEHICLES, **ANIMALS, **THINGS}
