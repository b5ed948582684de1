"""Make XMP sidecars in the shapes of darktable, Lightroom and digiKam."""

# ruff: noqa: E501 (sidecars have long lines)
from __future__ import annotations

import codecs
from random import Random
from xml.sax.saxutils import escape, quoteattr

WORDS = ("cat", "Heron", "Málaga", "R&D", "a<b", "雪", "two words", "Places|Iceland", "'quoted'")
SPACES = {
    "dc": "http://purl.org/dc/elements/1.1/", "xmp": "http://ns.adobe.com/xap/1.0/",
    "lr": "http://ns.adobe.com/lightroom/1.0/", "darktable": "http://darktable.sf.net/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "xmpMM": "http://ns.adobe.com/xap/1.0/mm/", "digiKam": "http://www.digikam.org/ns/1.0/",
    "stEvt": "http://ns.adobe.com/xap/1.0/sType/ResourceEvent#",
    "MicrosoftPhoto": "http://ns.microsoft.com/photo/1.0/", "exif": "http://ns.adobe.com/exif/1.0/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/", "tiff": "http://ns.adobe.com/tiff/1.0/",
}  # fmt: skip


def make_sidecar(random: Random) -> bytes:
    """Return one sidecar; the seed of random decides on its shape and content."""
    make = random.choice((_make_darktable, _make_lightroom, _make_digikam))
    text = make(random)
    if random.random() < 0.2:
        text = text.replace("\n", "\r\n")
    if random.random() < 0.15:
        return codecs.BOM_UTF8 + text.encode()
    if random.random() < 0.1 and "<?xml" not in text:
        return codecs.BOM_UTF16_BE + text.encode("utf-16-be")
    return text.encode()


def make_list(random: Random, name: str, indent: str) -> str:
    """Return a list property in one of its forms, or nothing."""
    form = random.random()
    if form < 0.15:
        return ""
    kind = "Seq" if name == "dc:subject" and random.random() < 0.3 else "Bag"
    if form < 0.3:
        empty = (
            f"<rdf:{kind}/>",
            f"<rdf:{kind}></rdf:{kind}>",
            f"<rdf:{kind}>\n{indent}</rdf:{kind}>",
            "",
        )
        content = random.choice(empty)
        return f"\n{indent}<{name}>{content}</{name}>" if content else f"\n{indent}<{name}/>"
    words = random.sample(WORDS, random.randint(1, 4))
    items = "".join(f"\n{indent}  <rdf:li>{escape(word)}</rdf:li>" for word in words)
    if random.random() < 0.1:
        items = items.replace("\n", "").replace("  ", "")
    return f"\n{indent}<{name}>\n{indent} <rdf:{kind}>{items}\n{indent} </rdf:{kind}>\n{indent}</{name}>"


def _declare(*prefixes: str) -> str:
    return "".join(f'\n    xmlns:{prefix}="{SPACES[prefix]}"' for prefix in prefixes)


def _make_darktable(random: Random) -> str:
    history = "".join(
        f"\n     <rdf:li\n      darktable:num=\"{n}\"\n      darktable:operation=\"exposure\"\n"
        f"      darktable:params=\"{random.randbytes(12).hex()}\"/>" for n in range(random.randint(1, 5))
    )  # fmt: skip
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">\n'
        ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        f'  <rdf:Description rdf:about=""{_declare("exif", "xmp", "xmpMM", "darktable", "dc", "lr")}\n'
        f'   exif:DateTimeOriginal="2021:0{random.randint(1, 9)}:17 12:00:00"\n'
        f'   xmp:Rating="{random.randint(-1, 5)}"\n   xmpMM:DerivedFrom="IMG_1.CR2"\n'
        '   darktable:xmp_version="5"\n   darktable:raw_params="0"\n   darktable:auto_presets_applied="1">'
        f"\n   <darktable:history>\n    <rdf:Seq>{history}\n    </rdf:Seq>\n   </darktable:history>"
        f"{make_list(random, 'dc:subject', '   ')}{make_list(random, 'lr:hierarchicalSubject', '   ')}"
        "\n  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n"
    )


def _make_lightroom(random: Random) -> str:
    title = escape(random.choice(WORDS))
    padding = ("\n" + " " * 99) * random.choice((0, 20))
    events = "".join(
        f'\n     <rdf:li stEvt:action="saved" stEvt:when="2022-01-0{n}T10:00:00+01:00"\n'
        f"      stEvt:softwareAgent={quoteattr(random.choice(WORDS))}/>" for n in (1, 2)
    )  # fmt: skip
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="Adobe XMP Core 7.0-c000">\n'
        ' <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">\n'
        f"  <rdf:Description rdf:about={random.choice(('&quot;&quot;', 'uuid:4-a&amp;b'))!r}"
        f"{_declare('xmp', 'crs', 'dc', 'lr', 'xmpMM', 'stEvt', 'tiff')}\n"
        f'   crs:Version="15.0"\n   crs:Exposure2012="+0.{random.randint(10, 99)}"\n   tiff:Make="Canon">\n'
        f'   <dc:title>\n    <rdf:Alt>\n     <rdf:li xml:lang="x-default">{title}</rdf:li>\n    </rdf:Alt>\n'
        f"   </dc:title>{make_list(random, 'dc:subject', '   ')}"
        f"{make_list(random, 'lr:hierarchicalSubject', '   ')}"
        f"\n   <xmpMM:History>\n    <rdf:Seq>{events}\n    </rdf:Seq>\n   </xmpMM:History>\n"
        "   <crs:ToneCurvePV2012>\n    <rdf:Seq>\n     <rdf:li>0, 0</rdf:li>\n     <rdf:li>255, 255</rdf:li>\n"
        "    </rdf:Seq>\n   </crs:ToneCurvePV2012>\n  </rdf:Description>\n </rdf:RDF>\n</x:xmpmeta>\n"
        f'{padding}<?xpacket end="w"?>'
    )


def _make_digikam(random: Random) -> str:
    separate = random.random() < 0.5  # a description for each namespace, as old programs write
    middle = (
        f'</rdf:Description><rdf:Description rdf:about=""{_declare("dc", "lr")}>'
        if separate
        else ""
    )
    tags = "".join(f"<rdf:li>{escape(word)}</rdf:li>" for word in random.sample(WORDS, 2))
    comment = "<!-- a > b --><?a b?>" if random.random() < 0.3 else ""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/" x:xmptk="XMP Core 4.4.0-Exiv2">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about=""{_declare("digiKam", "MicrosoftPhoto", "dc", "lr", "photoshop")} '
        f'digiKam:PickLabel="{random.randint(0, 3)}" photoshop:Urgency="1">{comment}'
        f"<digiKam:TagsList><rdf:Seq>{tags}</rdf:Seq></digiKam:TagsList>"
        f"<MicrosoftPhoto:LastKeywordXMP><rdf:Bag>{tags}</rdf:Bag></MicrosoftPhoto:LastKeywordXMP>{middle}"
        f"{make_list(random, 'dc:subject', '')}{make_list(random, 'lr:hierarchicalSubject', '')}"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
