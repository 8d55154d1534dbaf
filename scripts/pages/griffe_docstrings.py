"""An extension of griffe: a method without docstring is shown with that of the method that it overrides.

A `forward` that overrides none of ours is shown too, and so are the fields of tuples: their types have the shapes.
"""

from collections.abc import Iterator
from typing import Any

import griffe

FORWARD = "What the module computes when it is called; the shapes are in the signature."
FIELD = "A field of the tuple."


class Docstrings(griffe.Extension):
    """Gives methods the docstrings of what they override, and fields of tuples one of their own."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """All classes of a package, once it is loaded."""
        for found in classes(pkg):
            said = found.docstring.value if found.docstring else ""
            has_fields = "NamedTuple" in map(str, found.bases) and "Attributes:" not in said
            for name, member in found.members.items():
                if member.is_alias or member.docstring or name.startswith("_"):
                    continue
                if isinstance(member, griffe.Function):
                    bases = [base.members[name] for base in found.mro() if name in base.members]
                    text = next((base.docstring.value for base in bases if base.docstring), "")
                    if text or name == "forward":
                        member.docstring = griffe.Docstring(text or FORWARD, parent=member)
                elif isinstance(member, griffe.Attribute) and has_fields:
                    member.docstring = griffe.Docstring(FIELD, parent=member)


def classes(found: griffe.Object | griffe.Alias) -> Iterator[griffe.Class]:
    """All classes of a module and of what is in it."""
    for member in found.members.values():
        if isinstance(member, griffe.Class):
            yield member
        if not member.is_alias and (member.is_module or member.is_class):
            yield from classes(member)
