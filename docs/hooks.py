"""What the site takes from elsewhere in the repository: tables of benchmarks, the help of every command, notebooks."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]


def on_files(files: Files, config: Any) -> Files:
    """Add benchmarks/results/*.md with their pictures, reference/commands.md, and a page for each notebook."""
    for place in sorted((ROOT / "benchmarks" / "results").iterdir()):
        if place.suffix in {".md", ".png"}:
            files.append(
                File.generated(config, f"results/{place.name}", content=place.read_bytes())
                if place.suffix == ".png"
                else File.generated(config, f"results/{place.name}", content=place.read_text(encoding="utf-8"))
            )
    files.append(File.generated(config, "reference/commands.md", content=commands()))
    for notebook in sorted((ROOT / "examples").glob("*.ipynb")):
        files.append(File.generated(config, f"examples/{notebook.stem}.md", content=page_of(notebook)))
    return files


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Files) -> str:
    """Point links to benchmarks/results at the copies, from wherever a page lies."""
    del config, files
    up = "../" * page.file.src_uri.count("/")
    markdown = re.sub(r"\]\((?:\.\./)+benchmarks/results/", f"]({up}results/", markdown)
    return re.sub(r"\]\((?:\.\./)+docs/", f"]({up}", markdown)


def page_of(notebook: Path) -> str:
    """A notebook as a page: its words, and its code as it stands."""
    parts: list[str] = []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join([*parts, f"*This is `examples/{notebook.name}`.*", ""])


def commands() -> str:
    """The help of all commands, as the command line prints it."""
    from cuemask.cli import main

    lines = ["# Commands", "", "What `cuemask COMMAND --help` prints.", ""]
    for path, command in walk(main, ("cuemask",)):
        context = click.Context(command, info_name=" ".join(path), max_content_width=100, terminal_width=100)
        lines += [f"## {' '.join(path)}", "", "```text", command.get_help(context), "```", ""]
    return "\n".join(lines)


def walk(command: click.Command, path: tuple[str, ...]) -> list[tuple[tuple[str, ...], click.Command]]:
    """A command and all below it, each with the words that call it."""
    found = [(path, command)]
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            below = command.get_command(click.Context(command), name)
            if below is not None and not below.hidden:
                found += walk(below, (*path, name))
    return found
