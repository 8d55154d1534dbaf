"""An extension of griffe: a method without docstring is shown with that of the method that it overrides.

A `forward` that overrides none of ours is shown too, for its signature has the shapes.
"""

from collections.abc import Iterator
from typing import Any

import griffe

FORWARD = "What the module computes when it is called; the shapes are in the signature."


class InheritedDocstrings(griffe.Extension):
    """Gives methods the docstrings of what they override."""

    def on_package(self, *, pkg: griffe.Module, **kwargs: Any) -> None:
        """All classes of a package, once it is loaded."""
        for found in classes(pkg):
            for name, member in found.members.items():
                if isinstance(member, griffe.Function) and not member.docstring and not name.startswith("_"):
                    bases = [base.members[name] for base in found.mro() if name in base.members]
                    text = next((base.docstring.value for base in bases if base.docstring), "")
                    if text or name == "forward":
                        member.docstring = griffe.Docstring(text or FORWARD, parent=member)


def classes(found: griffe.Object | griffe.Alias) -> Iterator[griffe.Class]:
    """All classes of a module and of what is in it."""
    for member in found.members.values():
        if isinstance(member, griffe.Class):
            yield member
        if not member.is_alias and (member.is_module or member.is_class):
            yield from classes(member)
