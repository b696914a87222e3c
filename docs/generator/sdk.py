"""Signatures in `docs/reference/sdk.md`: the text around them is written by hand."""

import ast
import importlib
import inspect
import re
import textwrap

_BLOCK = re.compile(r"(<!-- signatures (?P<names>[\w.:, ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_INTERNAL = frozenset({"served_by", "headers_for", "send", "server"})
"""Public for the SDK's own parts, not for authors."""
_MADE_BY_AUTHORS = frozenset({"Plugin", "Core", "PluginTestClient"})
_WIDTH = 100


def with_signatures(text: str) -> str:
    """The page with every block of signatures as the code has them.

    Raises:
        AttributeError: a block names something that the SDK does not have.
    """
    return _BLOCK.sub(lambda found: f"{found[1]}\n{_block(found['names'])}\n{found[3]}", text)


def _block(names: str) -> str:
    classes = ["\n".join(_class(name.strip())) for name in names.split(",")]
    return "```text\n" + "\n\n".join(classes) + "\n```\n"


def _class(name: str) -> list[str]:
    """`module:Class` with its public methods, as its source has them."""
    module, _, attribute = name.partition(":")
    source = textwrap.dedent(inspect.getsource(getattr(importlib.import_module(module), attribute)))
    definition = ast.parse(source).body[0]
    if not isinstance(definition, ast.ClassDef):
        raise TypeError(f"{name} is not a class")
    bases = [ast.unparse(base) for base in definition.bases if ast.unparse(base) not in {"Protocol", "BaseModel"}]
    lines = [f"class {definition.name}({', '.join(bases)}):" if bases else f"class {definition.name}:"]
    for member in definition.body:
        if isinstance(member, ast.FunctionDef | ast.AsyncFunctionDef) and _shown(definition.name, member.name):
            lines += [f"    {line}" for line in _member(member)]
        elif isinstance(member, ast.AnnAssign) and _shown(definition.name, ast.unparse(member.target)):
            lines.append(f"    {ast.unparse(member.target)}: {_annotation(member.annotation)}")
    return [*lines, "    ..."] if len(lines) == 1 else lines


def _shown(owner: str, name: str) -> bool:
    return owner in _MADE_BY_AUTHORS if name == "__init__" else not (name.startswith("_") or name in _INTERNAL)


def _member(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    decorators = {ast.unparse(one) for one in function.decorator_list}
    result = _annotation(function.returns) if function.returns else "None"
    if "property" in decorators:
        return [f"{function.name}: {result}"]
    if "staticmethod" not in decorators:
        function.args.args = function.args.args[1:] if function.args.args else []
        function.args.posonlyargs = [one for one in function.args.posonlyargs if one.arg != "self"]
    word = "async def" if isinstance(function, ast.AsyncFunctionDef) else "def"
    arguments = _arguments(function.args)
    line = f"{word} {function.name}({', '.join(arguments)}) -> {result}"
    if len(line) <= _WIDTH:
        return [line]
    return [f"{word} {function.name}(", *(f"    {one}," for one in arguments), f") -> {result}"]


def _arguments(arguments: ast.arguments) -> list[str]:
    """Each parameter with its annotation and default."""
    ordered = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [*[None] * (len(ordered) - len(arguments.defaults)), *arguments.defaults]
    found = [_argument(one, default) for one, default in zip(ordered, defaults, strict=True)]
    if arguments.posonlyargs:
        found.insert(len(arguments.posonlyargs), "/")
    if arguments.vararg:
        found.append("*" + _argument(arguments.vararg, None))
    elif arguments.kwonlyargs:
        found.append("*")
    found += [
        _argument(one, default) for one, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    ]
    return [*found, "**" + _argument(arguments.kwarg, None)] if arguments.kwarg else found


def _argument(argument: ast.arg, default: ast.expr | None) -> str:
    text = argument.arg
    if argument.annotation is not None:
        text += f": {_annotation(argument.annotation)}"
    return text if default is None else f"{text} = {ast.unparse(default)}"


def _annotation(node: ast.expr) -> str:
    """An annotation; one that the source quotes, without the quotes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp):
        return f"{_annotation(node.left)} | {_annotation(node.right)}"
    return ast.unparse(node)
