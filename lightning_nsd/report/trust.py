"""What can be trusted of an evaluation, in sentences. docs/distances.md has the reasons."""

from collections.abc import Iterator

from lightning_nsd.report.collect import Distances, is_number

NEAR = 1.1
"""Times its floor: a distance up to this is not told apart from none."""
MANY_COPIES = 0.1
MOST_NAMED = 6


def what_to_trust(found: Distances) -> Iterator[str]:
    """The sentences that apply."""
    name, summary = found.distance, found.summary
    kernel = name.replace("fd_", "kd_", 1) if name.startswith("fd_") else "kid"
    if not found.is_complete:
        yield f"The evaluation was broken off: these are the {len(found.classes)} classes that were done."
    if "mean" in summary:
        interval = ""
        if "mean_low" in summary and "mean_high" in summary:
            interval = f" (95 % between {summary['mean_low']:.4g} and {summary['mean_high']:.4g})"
        floor = f" The floor, real images against real ones, is {summary['floor']:.4g}." if "floor" in summary else ""
        yield f"The mean {name} is {summary['mean']:.4g}{interval}; less is better.{floor}"
    near = [row for row in found.classes if _is_near(row, name)]
    if near:
        yield (
            f"{len(near)} of {len(found.classes)} classes lie within a tenth of their floor or below it: so many "
            "images do not tell them from real ones, which is not to say that they are perfect."
        )
    sizes = sorted({row["n"] for row in found.classes if is_number(row.get("n")) and row["n"] > 0})
    if len(sizes) == 1:
        yield f"n is {sizes[0]} for every class. Never compare values of different n: the bias depends on it."
    elif sizes:
        yield (
            f"Classes have n from {sizes[0]} to {sizes[-1]}, and the bias of {name} depends on it: the mean mixes "
            f"them. {kernel} has no such bias."
        )
    if found.classes and not any(is_number(row.get(f"{name}_infinity")) for row in found.classes):
        yield f"There are too few images for the extractor's features: {name} is biased upwards. Trust {kernel} more."
    if name != "fid":
        yield f"{name} is of another extractor than Inception: compare it with values of the same extractor alone."
    yield from _copies(found)
    failed = [row for row in found.classes if row.get("reason")]
    if failed:
        yield f"{len(failed)} classes have no distance; the table says why."


def _is_near(row: dict[str, object], name: str) -> bool:
    distance, floor = row.get(name), row.get("floor")
    return is_number(distance) and is_number(floor) and distance <= NEAR * floor  # type: ignore[operator]


def _copies(found: Distances) -> Iterator[str]:
    columns = ("copies", "pixel_copies")
    copied = [
        str(row.get("class"))
        for row in found.classes
        if any(is_number(row.get(column)) and row[column] > MANY_COPIES for column in columns)
    ]
    if copied:
        more = f" and {len(copied) - MOST_NAMED} more" if len(copied) > MOST_NAMED else ""
        yield (
            f"Copies: in {', '.join(copied[:MOST_NAMED])}{more} more than {MANY_COPIES:.0%} of what was drawn lies "
            "closer to an example than any two real images lie to each other. A good distance of these says little."
        )
    elif any(is_number(row.get(column)) for row in found.classes for column in columns):
        yield "No class has many copies of its examples."
