"""Print how far searchapp's metadata agrees with exiftool's, and why values differ.

    python tests/bench/metadata_agreement.py [FILES] [SEED]

exiftool must be installed: apt-get install libimage-exiftool-perl
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.exiftool_reference import REASONS, compare_files
from support.metadata_corpus import write_corpus

WRITERS = {
    "exiftool": "valid tags, written by exiftool",
    "pillow": "EXIF of lax programs, written by Pillow",
    "raw": "XMP and IPTC of lax programs",
}


def main(count: int = 600, seed: int = 1) -> None:
    """Compare count generated files, and print the figures for each writer and in all."""
    with tempfile.TemporaryDirectory() as folder:
        files = write_corpus(Path(folder), count, seed)
        for writer, what in WRITERS.items():
            own = [file for file in files if file.name.startswith(writer)]
            agreement = compare_files(own).agreement
            print(f"{len(own)} files with {what}: {agreement:.1%} of the values agree")
        result = compare_files(files)
    print(f"{count} files, {result.compared.total()} values: {result.agreement:.1%} agree")
    for name, compared in sorted(result.compared.items()):
        agreed = result.agreed[name]
        print(f"  {name:12} {agreed:4} of {compared:4} ({agreed / compared:.1%})")
    for kind, number in result.kinds.most_common():
        print(f"  {number:4} x {kind}: {REASONS.get(kind, 'no reason is known')}")
    for line in result.unexplained[:40]:
        print(f"  {line}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
