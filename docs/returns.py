"""For the site: a Returns section that is a sentence gets its type from the signature, as numpydoc wants one."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Function

SECTION = re.compile(r"(?m)^(Returns\n-------\n)(?!.*\n    )((?:.+\n?)+)")


class ReturnsFromSignature(Extension):
    """Indents the sentence under the type that the function says it returns."""

    def on_function(self, *, func: Function, **_: Any) -> None:
        """Change the docstring of one function."""
        if func.docstring and func.returns is not None:
            said = str(func.returns)
            func.docstring.value = SECTION.sub(
                lambda found: f"{found[1]}{said}\n" + re.sub(r"(?m)^", "    ", found[2].rstrip("\n")) + "\n",
                func.docstring.value,
            )
