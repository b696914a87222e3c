"""What a UI bundle imports: only the dashboard's shared modules and its own files. Pure, on the bundle's text."""

import posixpath
import re
from collections.abc import Mapping
from difflib import get_close_matches

from nimbus_sdk.contracts.problem import FieldProblem

SHARED_MODULES = (
    "react",
    "react/jsx-runtime",
    "react/jsx-dev-runtime",
    "react-dom",
    "react-dom/client",
    "@nimbus/ui",
)
"""The names of the host's import map."""

_COMMENTS = re.compile(r"/\*.*?\*/|(?m:^\s*//[^\n]*$)", re.DOTALL)
_IMPORTS = (
    re.compile(r"""(?<![\w$.])import\s*(?:[\w$*{}\s,]+?\s*from\s*)?["']([^"'\n]+)["']"""),
    re.compile(r"""(?<![\w$.])export\s*(?:\*(?:\s*as\s+[\w$]+)?|\{[^}]*\})\s*from\s*["']([^"'\n]+)["']"""),
    re.compile(r"""(?<![\w$.])import\s*\(\s*["'`]([^"'`\n$]+)["'`]\s*\)"""),
)
_OWN_REACT = (
    "__CLIENT_INTERNALS_DO_NOT_USE_OR_WARN_USERS_THEY_CANNOT_UPGRADE",
    "__SECRET_INTERNALS_DO_NOT_USE_OR_YOU_WILL_BE_FIRED",
)
_EXPORTS_SOMETHING = re.compile(
    r"(?<![\w$.])export\s*(?:default\b|\{|\*|const\b|function\b|class\b|async\b|let\b|var\b)"
)


def imports_of(source: str) -> list[str]:
    """Module names that a script imports, in order, without repeats."""
    text = _COMMENTS.sub(" ", source)
    found = [match[1] for pattern in _IMPORTS for match in pattern.finditer(text)]
    return list(dict.fromkeys(found))


def check_bundle(entry: str, scripts: Mapping[str, str], files: frozenset[str]) -> list[FieldProblem]:
    """Everything that keeps a bundle from working in the dashboard.

    Args:
        entry: the manifest's `ui.bundle`.
        scripts: text of each script, by its path from the plugin's root.
        files: every file of the bundle.
    """
    found: list[FieldProblem] = []
    for name, source in scripts.items():
        if any(marker in source for marker in _OWN_REACT):
            found.append(
                FieldProblem(
                    path=name,
                    message="brings its own React; two Reacts on one page break hooks. Mark react and react-dom as "
                    "external in the bundler, they come from the dashboard",
                )
            )
        found += [problem for module in imports_of(source) if (problem := _check_import(name, module, files))]
    if entry in scripts and not _EXPORTS_SOMETHING.search(_COMMENTS.sub(" ", scripts[entry])):
        found.append(
            FieldProblem(path=entry, message="exports nothing; expected a native ES module with `export default`")
        )
    return found


def _check_import(script: str, module: str, files: frozenset[str]) -> FieldProblem | None:
    if module in SHARED_MODULES:
        return None
    if module.startswith(("./", "../")):
        target = posixpath.normpath(posixpath.join(posixpath.dirname(script), module))
        if target in files:
            return None
        return FieldProblem(
            path=script, message="imports a file that is not part of the bundle; write its full name", value=module
        )
    if re.match(r"^(?:[a-z]+:)?//|^data:|^blob:", module):
        return FieldProblem(path=script, message="imports from another place; the dashboard forbids it", value=module)
    close = get_close_matches(module, SHARED_MODULES, n=1)
    return FieldProblem(
        path=script,
        message=f"imports a module that the dashboard does not share ({', '.join(SHARED_MODULES)}); bundle it",
        value=module,
        suggestion=close[0] if close else None,
    )
