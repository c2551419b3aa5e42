"""Which places of a file may be changed, and to what; all other text stays as it is.

Docstrings, annotations, decorators, the plain words of messages, and whether `zip` checks lengths
are left alone.
"""

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

OPERATORS = {
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "/"), ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"), ast.Mod: ("%", "//"), ast.Pow: ("**", "*"), ast.BitOr: ("|", "&"),
    ast.BitAnd: ("&", "|"), ast.LShift: ("<<", ">>"), ast.Lt: ("<", "<=", ">"),
    ast.LtE: ("<=", "<", ">="), ast.Gt: (">", ">=", "<"), ast.GtE: (">=", ">", "<="),
    ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.In: ("in", "not in"),
    ast.NotIn: ("not in", "in"), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.And: ("and", "or"), ast.Or: ("or", "and"), ast.Not: ("not", ""), ast.USub: ("-", ""),
    ast.Invert: ("~", ""),
}  # fmt: skip
PAIRS = (
    "min max,any all,argmin argmax,idxmin idxmax,ascending descending,train test,sum mean,"
    "head tail,floor ceil,zeros ones,startswith endswith,before after,initial trained"
)
OPPOSITES = {a: b for pair in PAIRS.split(",") for a, b in (pair.split(), pair.split()[::-1])}
# Functions for which the order of arguments, or of a tuple, means nothing.
UNORDERED = ("isinstance", "startswith", "endswith", "min", "max", "minimum", "maximum", "equal")

Change = tuple[int, int, bytes]  # from a byte up to another, and what stands there instead


def changes(raw: bytes) -> Iterator[Change]:
    """Find every change that may be made to a file."""
    file = File(raw)
    for node, parents in places(ast.parse(raw)):
        if isinstance(node, ast.stmt):
            yield from of_statement(file, node)
        elif isinstance(node, ast.expr) and file.is_whole(node):
            yield from of_expression(file, node, parents)
        if isinstance(node, ast.If | ast.IfExp | ast.comprehension):
            for test in node.ifs if isinstance(node, ast.comprehension) else [node.test]:
                yield *file.span(test), b"not (" + file.text(test) + b")"


def places(node: ast.AST, parents: tuple = ()) -> Iterator[tuple[ast.AST, tuple]]:
    """Yield each node below that may be changed, and the nodes around it, nearest first."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "format_spec"):
            continue
        for child in value if isinstance(value, list) else [value]:
            is_guard = isinstance(child, ast.If) and "__name__" in ast.unparse(child.test)
            if isinstance(child, ast.AST) and not (is_guard or is_check(child, node)):
                yield child, (node, *parents)
                yield from places(child, (node, *parents))


def is_check(child: ast.AST, parent: ast.AST) -> bool:
    """Tell whether it is what makes `zip` raise an error if what it gets differs in length."""
    return (
        isinstance(child, ast.keyword)
        and ast.unparse(child) == "strict=True"
        and isinstance(parent, ast.Call)
        and ast.unparse(parent.func) == "zip"
    )


class File:
    """The bytes of a file, by the nodes of its syntax tree."""

    def __init__(self, raw: bytes):
        self.raw = raw
        self.lines = [0, *(match.end() for match in re.finditer(b"\n", raw))]

    def span(self, node: ast.AST) -> tuple[int, int]:
        start = self.lines[node.lineno - 1] + node.col_offset
        return start, self.lines[node.end_lineno - 1] + node.end_col_offset

    def text(self, node: ast.AST) -> bytes:
        return self.raw[slice(*self.span(node))]

    def is_whole(self, node: ast.expr) -> bool:
        """Tell whether the tree knows where it is: before Python 3.12 not always in f-strings."""
        try:
            tree = ast.parse(b"(" + self.text(node) + b"\n)", mode="eval")
        except SyntaxError:
            return False
        return ast.unparse(tree) == ast.unparse(node)

    def operator(self, op: ast.AST, start: int, end: int) -> Iterator[Change]:
        """Change the operator that stands between two places."""
        token, *others = OPERATORS.get(type(op), ("",))
        at = self.raw.find(token.encode(), start, end)
        for other in others:
            yield at, at + len(token), other.encode()

    def swapped(self, nodes: list[ast.expr]) -> Iterator[Change]:
        """Swap each two of the expressions that stand beside each other."""
        for a, b in pairwise(nodes):
            (start, stop), (other, end) = self.span(a), self.span(b)
            if self.text(a) != self.text(b) and self.is_whole(a) and self.is_whole(b):
                yield start, end, self.text(b) + self.raw[stop:other] + self.text(a)


def of_statement(file: File, node: ast.stmt) -> Iterator[Change]:
    start, end = file.span(node)
    match node:
        case (
            ast.Expr(ast.Call())
            | ast.AugAssign()
            | ast.Raise()
            | ast.Assign([ast.Attribute() | ast.Subscript()])
        ):
            yield start, end, b"pass"
        case ast.Return(ast.expr() as value) if ast.unparse(value) != "None":
            yield start, end, b"return None"
        case ast.Continue():
            yield start, end, b"break"


def of_expression(file: File, node: ast.expr, parents: tuple) -> Iterator[Change]:
    start, end = file.span(node)
    match node:
        case ast.BinOp(a, op, b) | ast.Compare(a, [op], [b]) | ast.BoolOp(op, [a, b, *_]):
            # Two texts or two dictionaries can only be joined.
            if not any(isinstance(side, ast.JoinedStr | ast.Dict) for side in (a, b)):
                yield from file.operator(op, file.span(a)[1], file.span(b)[0])
        case ast.UnaryOp(op, operand):
            yield from file.operator(op, start, file.span(operand)[0])
        case ast.Constant(bool(value)):
            yield start, end, str(not value).encode()
        case ast.Constant(int(value)):
            is_axis = isinstance(parents[0], ast.keyword) and parents[0].arg == "axis"
            for other in (1 - value,) if is_axis else (value + 1, value - 1):
                yield start, end, str(other).encode()
        case ast.Constant(float(value)):
            yield start, end, str(2 * value).encode()
        case ast.Constant(str(value)) if value in OPPOSITES:
            yield start, end, f'"{OPPOSITES[value]}"'.encode()
        case ast.Name(name) | ast.Attribute(attr=name) if name in OPPOSITES:
            yield end - len(name), end, OPPOSITES[name].encode()
        case ast.Subscript(_, index):
            yield from of_index(file, index, parents)
        case ast.Call(_, arguments, keywords):
            yield from file.swapped(arguments if is_ordered(node) else [])
            yield from file.swapped([keyword.value for keyword in keywords])
        case ast.Tuple(values) if is_ordered(parents[0]):
            yield from file.swapped(values[:2])
        case ast.Dict(keys, values) if None not in keys:
            yield from file.swapped(values)
        case ast.JoinedStr(values):
            parts = [value for value in values if isinstance(value, ast.FormattedValue)]
            yield from file.swapped([part.value for part in parts])


def of_index(file: File, index: ast.expr, parents: tuple) -> Iterator[Change]:
    start, end = file.span(index)
    match index:
        case ast.Slice(step=ast.expr()):
            yield start, end, b":"
        case ast.Slice(lower, upper):
            if lower:
                yield start, end, b":" + file.text(upper or lower)
            if upper:
                yield start, end, file.text(lower or upper) + b":"
        case ast.Constant(0):
            yield start, end, b"-1"
        case ast.UnaryOp(ast.USub(), ast.Constant(1)):
            yield start, end, b"0"
        case ast.Constant(str(key)):
            function = next((node for node in parents if isinstance(node, ast.FunctionDef)), index)
            keys = sorted({key, *keys_of(function)})
            yield start, end, f'"{keys[keys.index(key) - 1]}"'.encode()


def keys_of(function: ast.AST) -> Iterator[str]:
    """Find the keys that a function looks up."""
    for node in ast.walk(function):
        match node:
            case ast.Subscript(slice=ast.Constant(str(key))):
                yield key


def is_ordered(parent: ast.AST) -> bool:
    """Tell whether the order of what stands there, arguments or a tuple, means something."""
    if isinstance(parent, ast.Call):
        return ast.unparse(parent.func).rpartition(".")[2] not in UNORDERED
    return not isinstance(parent, ast.Compare | ast.ExceptHandler | ast.Subscript)
