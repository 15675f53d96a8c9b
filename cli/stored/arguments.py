"""Commands that take a value take none from the command line, and do not repeat one that was put there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from typer.core import TyperCommand

if TYPE_CHECKING:
    import typer


class NoValueInArguments(TyperCommand):
    """A command whose complaint about one argument too many does not show it: it may be the secret."""

    allow_extra_args = True

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Raises the usage error of the library, in our words."""
        rest: list[str] = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            ctx.fail(
                "there is one argument too many, which is not shown here. A value is never taken from "
                "the command line: pipe it in, use --from-file, or type it when asked. If it was the "
                "value, it is in the shell's history now"
            )
        return rest
