"""The text of an expression to a tree. LALR, so its time grows with the length and no input makes it run for long."""

from functools import lru_cache

from lark import Lark, Token, Tree
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from analysis.expressions.errors import ExpressionError

LONGEST = 4096
"""Characters of an expression."""
DEEPEST = 64
"""Levels of a tree: what is nested deeper is refused before anything walks it."""

_GRAMMAR = r"""
?start: ternary
?ternary: or_ | or_ "?" ternary ":" ternary -> choice
?or_: and_ | or_ ("||" | "or") and_ -> either
?and_: comparison | and_ ("&&" | "and") comparison -> both
?comparison: range | range COMPARE range -> compare | range "not" IN range -> not_in | range IN range -> compare
?range: sum | sum ".." sum -> span
?sum: product | sum PLUS product -> arith
?product: denial | product TIMES denial -> arith
?denial: sign | ("!" | "not") denial -> negate
?sign: power | PLUS sign -> signed
?power: coalesced | coalesced ("**" | "^") sign -> power
?coalesced: postfix | coalesced "??" postfix
?postfix: atom
    | postfix "." NAME -> member
    | postfix "?." NAME -> maybe_member
    | postfix "[" ternary "]" -> index
    | postfix "?." "[" ternary "]" -> maybe_index
    | postfix "[" [ternary] ":" [ternary] "]" -> slice
?atom: NUMBER -> number | STRING -> string
    | CNAME -> name
    | CNAME "(" [args] ")" -> call
    | "#" -> element | "." NAME -> element_member
    | "(" ternary ")"
    | "[" [ternary ("," ternary)* [","]] "]" -> array
    | "{" [pair ("," pair)* [","]] "}" -> mapping
pair: (NAME | STRING) ":" ternary
args: argument ("," argument)* [","]
?argument: ternary | "{" ternary "}" -> closure

COMPARE: "==" | "!=" | "<=" | ">=" | "<" | ">" | /(matches|contains|startsWith|endsWith)\b/
IN: /in\b/
PLUS: "+" | "-"
TIMES: "*" | "/" | "%"
NUMBER: /0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|([0-9][0-9_]*(\.(?!\.)[0-9_]*)?|\.[0-9][0-9_]*)([eE][+-]?[0-9]+)?/
STRING: /"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])*'|`[^`]*`/
CNAME: /[a-zA-Z_$][a-zA-Z0-9_$]*/
NAME: CNAME
%ignore /[ \t\r\n]+/
"""


@lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", maybe_placeholders=True, propagate_positions=False)


def parse(text: str) -> Tree[Token]:
    """Return the tree of an expression.

    Raises:
        ExpressionError: it is none; the text names the place.
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression has {len(text)} characters; expected at most {LONGEST}")
    try:
        tree = _parser().parse(text)
    except UnexpectedInput as error:
        raise ExpressionError(_where(text, error)) from None
    if not isinstance(tree, Tree):
        raise ExpressionError(f"{text!r} is not a whole expression")
    _measure(tree)
    return tree


def _where(text: str, error: UnexpectedInput) -> str:
    place = error.pos_in_stream
    ends = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    if ends or place is None or place < 0 or place >= len(text.rstrip()):
        return "the expression ends too early; a value or a closing bracket is missing"
    what = "cannot be read" if isinstance(error, UnexpectedCharacters) else "is not expected there"
    return f"at character {place + 1}: {text[place : place + 20]!r} {what}"


def _measure(tree: Tree[Token]) -> None:
    level, deep = [tree], 0
    while level:
        deep += 1
        if deep > DEEPEST:
            raise ExpressionError(f"the expression is nested more than {DEEPEST} levels deep; write it flatter")
        level = [child for node in level for child in node.children if isinstance(child, Tree)]
