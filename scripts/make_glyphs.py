"""Draws the shipped data set: characters of eleven scripts in many free fonts, one mosaic per script.

    pip install fonttools pillow numpy tqdm
    python scripts/make_glyphs.py --fonts build/fonts

fetches the fonts as Debian packages into `build/fonts` (203 MB, nothing is installed; needs apt-get and dpkg), unless
the folder is there already, and writes `lightning_nsd/assets/glyphs/`: `<script>.webp` (rows are characters, columns
are fonts, 32 × 32 grey pixels each, white where a font lacks a character), `index.json` and `ATTRIBUTION.md`.
"""

import argparse
import json
import re
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageChops, ImageDraw, ImageFont
from tqdm import tqdm

OUTPUT = Path(__file__).parent.parent / "lightning_nsd" / "assets" / "glyphs"
SIZE, INNER = 32, 28
POINTS = 64
GREY_LEVELS = 32
MAX_FONTS = 48
MIN_COVERAGE = 0.9
NOT_LETTERS = {"D050000L"}  # dingbats at the code points of letters

PACKAGES = """
fonts-dejavu-core fonts-dejavu-extra fonts-liberation fonts-freefont-ttf fonts-noto-core fonts-noto-extra
fonts-noto-mono fonts-noto-ui-core fonts-roboto-unhinted fonts-open-sans fonts-lato fonts-linuxlibertine
fonts-croscore fonts-cantarell fonts-firacode fonts-hack fonts-junicode fonts-sil-gentium fonts-sil-gentiumplus
fonts-sil-charis fonts-sil-andika fonts-sil-doulos fonts-paratype fonts-comfortaa fonts-jura fonts-play fonts-inter
fonts-ebgaramond fonts-ebgaramond-extra fonts-jetbrains-mono fonts-gfs-didot fonts-gfs-neohellenic fonts-gfs-artemisia
fonts-fantasque-sans fonts-mononoki fonts-quicksand fonts-crosextra-carlito fonts-crosextra-caladea fonts-urw-base35
fonts-tuffy fonts-courier-prime fonts-vollkorn fonts-averia-sans-gwf fonts-averia-serif-gwf fonts-noto-cjk
""".split()  # noqa: SIM905 (shorter than a list)


def _range(first: int, last: int) -> str:
    return "".join(map(chr, range(first, last + 1)))


SCRIPTS = {
    "arabic": _range(0x621, 0x63A) + _range(0x641, 0x64A),
    "armenian": _range(0x531, 0x556) + _range(0x561, 0x586),
    "cyrillic": _range(0x410, 0x44F),
    "devanagari": _range(0x905, 0x939),
    "digits": _range(0x30, 0x39),
    "ethiopic": _range(0x1200, 0x1248),
    "georgian": _range(0x10D0, 0x10F0),
    "greek": _range(0x391, 0x3A1) + _range(0x3A3, 0x3A9) + _range(0x3B1, 0x3C9),
    "hebrew": _range(0x5D0, 0x5EA),
    "latin": _range(0x41, 0x5A) + _range(0x61, 0x7A),
    "thai": _range(0xE01, 0xE2E),
}


@dataclass(frozen=True)
class Font:
    """A font file that could be read.

    Attributes:
        path: of the file.
        name: full name, such as "DejaVu Sans Bold".
        family: its first two words, so that "Noto Sans Thai Looped" and "Noto Sans Thai" are one family.
        covers: code points that it has glyphs for.
    """

    path: Path
    name: str
    family: str
    covers: frozenset[int]


def fetch_fonts(folder: Path) -> None:
    """Download the packages and unpack them below `folder`."""
    debs = folder / "debs"
    debs.mkdir(parents=True, exist_ok=True)
    subprocess.run(["apt-get", "download", *PACKAGES], cwd=debs, check=True)
    for deb in tqdm(sorted(debs.glob("*.deb")), desc="unpacking"):
        subprocess.run(["dpkg", "-x", deb, folder / "root"], check=True)


def read_fonts(folder: Path) -> list[Font]:
    """All fonts below a folder, in the order of their paths; files that are no font are left out."""
    fonts = []
    for path in tqdm(sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".ttf", ".otf")), desc="reading"):
        try:
            with TTFont(path, lazy=True) as opened:
                names, covers = opened["name"], frozenset(opened.getBestCmap() or ())
                family, full = str(names.getDebugName(1)), str(names.getDebugName(4))
        except Exception as error:
            print(f"left out: {path.name}: {error}")
            continue
        if full not in NOT_LETTERS:
            fonts.append(Font(path, full, " ".join(family.split()[:2]), covers))
    return fonts


def draw_character(font: ImageFont.FreeTypeFont, character: str) -> np.ndarray | None:
    """The character, cropped, fitted into 28 × 28 with its aspect kept, in the middle of uint8 `(32, 32)`.

    Black (0) on white (255), rounded to 32 grey levels. None if there is no ink.
    """
    canvas = Image.new("L", (4 * POINTS, 4 * POINTS), 255)
    ImageDraw.Draw(canvas).text((POINTS, POINTS), character, font=font, fill=0)
    box = ImageChops.invert(canvas).getbbox()
    if box is None:
        return None
    scale = INNER / max(box[2] - box[0], box[3] - box[1])
    width, height = (max(1, round(scale * (box[i + 2] - box[i]))) for i in (0, 1))
    drawn = canvas.crop(box).resize((width, height), Image.Resampling.LANCZOS)
    image = Image.new("L", (SIZE, SIZE), 255)
    image.paste(drawn, ((SIZE - width) // 2, (SIZE - height) // 2))
    levels = np.round(np.asarray(image) / 255 * (GREY_LEVELS - 1))
    return np.round(levels * 255 / (GREY_LEVELS - 1)).astype(np.uint8)


def draw_font(font: Font, characters: str) -> dict[str, np.ndarray] | None:
    """Every character that the font has; None for a font that does not really draw this script.

    Left out are fonts that draw most characters alike (placeholders) or inside one frame.
    """
    try:
        opened = ImageFont.truetype(font.path, POINTS)
        drawn = {c: draw_character(opened, c) for c in characters if ord(c) in font.covers}
    except OSError:
        return None
    images = {c: image for c, image in drawn.items() if image is not None}
    distinct = {image.tobytes() for image in images.values()}
    if len(images) < MIN_COVERAGE * len(characters) or len(distinct) < len(images) - 3:
        return None
    common_ink = (np.stack(list(images.values())) < 128).all(axis=0)
    return None if common_ink.any() else images


def round_robin(fonts: Iterable[Font]) -> list[Font]:
    """One font of each family after another, so that no family dominates."""
    families: dict[str, list[Font]] = defaultdict(list)
    for font in fonts:
        families[font.family].append(font)
    rounds = max(map(len, families.values()), default=0)
    return [families[name][i] for i in range(rounds) for name in sorted(families) if i < len(families[name])]


def draw_script(fonts: list[Font], characters: str) -> tuple[list[Font], np.ndarray]:
    """The fonts that were taken and their mosaic, uint8 `(32 · characters, 32 · fonts)`.

    An image that an earlier font gave already, as weights and styles of one design often do, is left white.
    """
    able = [f for f in fonts if sum(ord(c) in f.covers for c in characters) >= MIN_COVERAGE * len(characters)]
    taken: list[Font] = []
    columns: list[np.ndarray] = []
    seen: dict[str, set[bytes]] = defaultdict(set)
    for font in round_robin(able):
        images = draw_font(font, characters)
        if images is None:
            continue
        new = {c: image for c, image in images.items() if image.tobytes() not in seen[c]}
        if len(new) < MIN_COVERAGE * len(characters):
            continue
        for character, image in new.items():
            seen[character].add(image.tobytes())
        blank = np.full((SIZE, SIZE), 255, np.uint8)
        columns.append(np.concatenate([new.get(c, blank) for c in characters]))
        taken.append(font)
        if len(taken) == MAX_FONTS:
            break
    return taken, np.concatenate(columns, axis=1)


def package_of(root: Path) -> dict[str, str]:
    """File name of every font → its package, and package → version and licences, as text."""
    owners = {}
    for deb in sorted((root / "debs").glob("*.deb")):
        package, version, _ = deb.name.split("_")
        listing = subprocess.run(["dpkg", "-c", deb], capture_output=True, text=True, check=True).stdout
        for line in listing.splitlines():
            name = line.split(maxsplit=5)[-1].partition(" -> ")[0]
            owners[Path(name).name] = f"{package} {version.replace('%3a', ':')}"
    return owners


def licences_of(root: Path, package: str) -> str:
    """The licences that a package's copyright file names."""
    text = (root / "root/usr/share/doc" / package / "copyright").read_text(errors="replace")
    named = re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE)
    if not named:
        named = re.findall(r"GNU\s+General\s+Public\s+License v\.\d with the exceptions", text)
    return ", ".join(sorted(set(named))) or "see the package's copyright file"


def attribution(root: Path, taken: dict[str, list[Font]]) -> str:
    """Fonts, packages and licences as Markdown."""
    owners = package_of(root)
    fonts_of: dict[str, set[str]] = defaultdict(set)
    for font in (font for fonts in taken.values() for font in fonts):
        fonts_of[owners[font.path.name]].add(font.name)
    lines = [
        "# Where the glyphs come from",
        "",
        "Drawn by `scripts/make_glyphs.py` from the free fonts below, as Debian packages them. The images are small",
        "pictures of characters; no font is contained in them. Licences as the packages' copyright files name them.",
        "",
        "| package | licences | fonts |",
        "|---|---|---|",
    ]
    for owner, names in sorted(fonts_of.items()):
        lines.append(f"| {owner} | {licences_of(root, owner.split()[0])} | {', '.join(sorted(names))} |")
    return "\n".join(lines) + "\n"


def shared_images(drawn: Mapping[str, np.ndarray]) -> str:
    """Which images stand in several classes, as Markdown.

    Args:
        drawn: script → its mosaic.
    """
    classes_of: dict[bytes, set[tuple[str, str]]] = defaultdict(set)
    total = 0
    for script, mosaic in drawn.items():
        rows, columns = (length // SIZE for length in mosaic.shape)
        cells = mosaic.reshape(rows, SIZE, columns, SIZE).swapaxes(1, 2)  # (characters, fonts, 32, 32)
        for character, images in zip(SCRIPTS[script], cells, strict=True):
            for image in images[(images < 255).any(axis=(1, 2))]:
                classes_of[image.tobytes()].add((script, character))
                total += 1
    shared = [sorted(classes) for classes in classes_of.values() if len(classes) > 1]
    counts: dict[tuple[str, ...], int] = defaultdict(int)
    letters: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for classes in shared:
        scripts = tuple(sorted({script for script, _ in classes}))
        counts[scripts] += 1
        letters[scripts].add("".join(character for _, character in classes))
    apart = sorted(set(drawn).difference(*counts))
    lines = [
        "",
        "## Images that several classes share",
        "",
        "Scripts have letters in common, and a font may draw such a letter once for all of them:",
        f"{len(shared):,} images stand in more than one class, {sum(map(len, shared)):,} of {total:,} in all.",
        f"No image of {', '.join(apart)} stands in another class.",
        "",
        "| scripts | images | letters, in the order of the scripts |",
        "|---|---|---|",
    ]
    for scripts, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        lines.append(f"| {', '.join(scripts)} | {count} | {' '.join(sorted(letters[scripts]))} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the data set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fonts", type=Path, required=True, help="folder of the fonts, filled if it does not exist")
    root = parser.parse_args().fonts
    if not root.exists():
        fetch_fonts(root)
    fonts = read_fonts(root / "root")
    OUTPUT.mkdir(parents=True, exist_ok=True)
    index: dict[str, object] = {}
    taken: dict[str, list[Font]] = {}
    drawn: dict[str, np.ndarray] = {}
    for script, characters in tqdm(SCRIPTS.items(), desc="drawing"):
        taken[script], drawn[script] = draw_script(fonts, characters)
        Image.fromarray(drawn[script]).save(OUTPUT / f"{script}.webp", lossless=True, quality=100, method=6)
        index[script] = {"characters": characters, "fonts": [font.name for font in taken[script]]}
    (OUTPUT / "index.json").write_text(json.dumps(index, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    (OUTPUT / "ATTRIBUTION.md").write_text(attribution(root, taken) + shared_images(drawn), encoding="utf-8")


if __name__ == "__main__":
    main()
