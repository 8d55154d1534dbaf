"""Pieces of the page as HTML; what comes from outside is escaped."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image
from torch import Tensor

from lightning_nsd.demo.drawing import Stage
from lightning_nsd.demo.field import write_field
from lightning_nsd.errors import UserError
from lightning_nsd.pictures import to_image

FOLDER = Path(__file__).parent
EXAMPLES = """
<div class="examples"><span class="quiet">Start from an example, or draw:</span>{{#each value}}
<button type="button" data-name="{{this.name}}" title="{{this.title}}" aria-label="Start from {{this.title}}">
<img src="{{this.picture}}" alt=""></button>{{/each}}</div>
"""
ON_EXAMPLES = """
element.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-name]");
  if (button) trigger("select", {name: button.dataset.name});
});
"""


def asset(name: str) -> str:
    """A script or style sheet of the page."""
    return (FOLDER / name).read_text(encoding="utf-8")


def fields(count: int) -> str:
    """So many fields to draw in."""
    cells = "".join(
        f'<div class="field" data-number="{number}"><canvas width="280" height="280" role="img" '
        f'aria-label="Field {number}: draw here"></canvas><div class="hint"><b>{number}</b>draw or drop</div>'
        f'<div class="tools"><button type="button" class="open" aria-label="Open a picture in field {number}">open'
        f'</button><button type="button" class="clear" aria-label="Clear field {number}">clear</button></div>'
        '<input type="file" accept="image/*" hidden></div>'
        for number in range(1, count + 1)
    )
    return f'<div class="fields">{cells}</div><p class="note" role="alert"></p>'


def sentence(text: str, wrong: bool = False) -> str:
    """What the page has to say."""
    return f'<p class="sentence{" wrong" if wrong else ""}" role="{"alert" if wrong else "status"}">{escape(text)}</p>'


def wrong(error: UserError) -> str:
    """What the page says of something that cannot be done."""
    return sentence(str(error), wrong=True)


def _seen(text: str, pictures: str = "") -> str:
    return f'<div class="seen"><span class="quiet">{text}</span>{pictures}</div>'


def seen(support: Tensor) -> str:
    """The pictures `(n, C, H, W)` in [-1, 1] as the model sees them."""
    pictures = "".join(
        f'<img src="{write_field(to_image(image))}" alt="picture {n}">' for n, image in enumerate(support, 1)
    )
    size = support.shape[-1]
    return _seen(f"The model sees, at {size} × {size} pixels:", pictures)


NOTHING_SEEN = _seen("What the model sees of them is shown here.")


def progress(stage: Stage) -> str:
    """How far a drawing is, in words."""
    return f"Step {stage.step} of {stage.total} · {stage.seconds:.1f} s"


def result(grid: Image.Image, name: str | None = None) -> str:
    """The grid, and a link to keep it under a name where it is finished."""
    url = write_field(grid)
    link = "" if name is None else f'<a href="{url}" download="{escape(name)}">Download as PNG</a>'
    return f'<div class="result"><img src="{url}" alt="the pictures above, drawn images below">{link}</div>'


NO_RESULT = '<div class="result empty"><span class="quiet">What it draws appears here.</span></div>'


def example_row(found: Sequence[tuple[str, str, str]]) -> list[dict[str, str]]:
    """The value of the row of examples: name, title and picture of each."""
    return [{"name": name, "title": title, "picture": picture} for name, title, picture in found]
