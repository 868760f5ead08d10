"""How an expression fails."""


class ExpressionError(Exception):
    """The expression cannot be read, or has no value for what was measured. The text says what would be right."""
