"""Signatures are checked while tests run, and nowhere else: before anything is imported that is to be checked."""

from jaxtyping import install_import_hook

from tests import checked

install_import_hook(checked.MODULES, f"{checked.__name__}.checked")
