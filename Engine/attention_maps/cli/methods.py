"""attention-maps methods: what can be asked, with which options."""

from __future__ import annotations

from typing import Any

import typer

from attention_maps.cli.options import AsJson, Debug
from attention_maps.cli.output import print_json, print_table
from attention_maps.cli.running import command

EPILOG = (
    "Examples:\n\n"
    "attention-maps methods\n\n"
    "attention-maps explain model.pt t1.nii.gz --method smooth_grad --option samples=50"
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("methods", epilog=EPILOG)(list_methods)


def list_methods(as_json: AsJson = False, debug: Debug = False) -> None:
    """List all methods: what they show, their options with ranges, papers and remarks."""
    with command(debug=debug):
        from attention_maps.registry import methods

        known = methods()
        if as_json:
            print_json([_record(item) for item in known.values()])
            return
        rows = [_row(item) for item in known.values()]
        print_table([("Method", "left"), ("What it shows", "left"), ("Options", "left")], rows)


def _record(item: Any) -> dict[str, Any]:
    return {
        "name": item.name, "label": item.label, "aliases": item.aliases,
        "description": item.description, "needs": item.needs, "gradients": item.gradients,
        "signed": item.signed, "reference": item.reference, "remark": item.remark,
        "options": {
            name: {
                "type": option.type.__name__, "default": option.default, "low": option.low,
                "high": option.high, "choices": option.choices, "help": option.help,
            }
            for name, option in item.options.items()
        },
    }  # fmt: skip


def _row(item: Any) -> list[str]:
    other = f"\n({', '.join(item.aliases)})" if item.aliases else ""
    shows = [item.description, f"{'signed' if item.signed else 'positive'}; {item.reference}"]
    if item.remark:
        shows.append(f"Note: {item.remark}")
    return [item.name + other, "\n".join(shows), "\n".join(map(option_line, item.options.values()))]


def option_line(option: Any) -> str:
    """An option with its default, range and help."""
    if option.choices:
        limits = " | ".join(map(str, option.choices))
    elif option.high is not None:
        limits = f"{option.low:g} to {option.high:g}"
    else:
        limits = "" if option.low is None else f"from {option.low:g}"
    limits = f" ({limits})" if limits else ""
    return f"{option.name}={option.default}{limits}: {option.help}"
