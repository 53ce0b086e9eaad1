"""What `--help` looks like: commands and options in groups, whole summaries, an example for each command."""

from __future__ import annotations

import click

COMMANDS = {
    "Make masks": ("segment", "train", "predict", "live", "group", "classes", "anchors"),
    "Many videos": ("batch", "status"),
    "Look and correct": ("report", "review"),
    "Hand on": ("export", "import"),
    "Judge": ("evaluate", "benchmark", "datasets", "verify"),
    "Try": ("phantom", "recipes", "doctor"),
}

# Names of parameters; what stands nowhere is said last. A command with few options has one list.
OPTIONS = {
    "Input": (
        "dataset",
        "data",
        "videos",
        "crop",
        "stereo",
        "every",
        "fps",
        "start",
        "end",
        "decoder",
        "largest_picture",
    ),
    "Method": ("each", "model", "recipe", "settings", "cues", "labels", "seed", "instances", "parts", "classes"),
    "Truth": ("positive", "ignore", "truth_name", "only_truth", "only_predicted", "protocol", "surface"),
    "Output": (
        *("out", "masks", "save_probability", "overlay", "overlay_style", "report", "blank_outside", "blank_text"),
        *("mask_video", "figures", "csv"),
    ),
    "Page": ("host", "port", "no_page", "open_browser", "stay"),
    "Run": ("on", "resume", "device", "provider", "quiet", "help"),
}
FEW = 7

EXAMPLES = {
    "anchors": "cuemask anchors op1.mp4 --out cues",
    "batch": "cuemask batch videos --out study --on local:4",
    "benchmark": "cuemask benchmark table3 --data ~/endovis2017 --out tables --recipe default",
    "classes": "cuemask classes result",
    "datasets": "cuemask datasets",
    "datasets check": "cuemask datasets check endovis2017 ~/endovis2017",
    "doctor": "cuemask doctor",
    "evaluate": "cuemask evaluate result/op1 masks --only-truth --csv frames.csv",
    "export": "cuemask export cvat result --out op1.xml",
    "export coco": "cuemask export coco result --corrections --out op1.json",
    "export coco-video": "cuemask export coco-video result --out op1.json",
    "export cvat": "cuemask export cvat result --corrections --out op1.xml",
    "export davis": "cuemask export davis result --out op1",
    "export dicom-seg": "cuemask export dicom-seg result --out segmentations",
    "export labelstudio": "cuemask export labelstudio result --images /data/local-files/?d= --out op1.json",
    "export onnx": "cuemask export onnx result --out model.onnx",
    "export voc": "cuemask export voc result --out op1",
    "export yolo": "cuemask export yolo result --out op1",
    "group": "cuemask group result --parts",
    "import": "cuemask import cvat annotations.xml --out corrected",
    "live": "cuemask live 0 --model model.onnx --open",
    "phantom": "cuemask phantom --out phantom --frames 96",
    "predict": "cuemask predict model new.mp4 --out new",
    "recipes": "cuemask recipes default --diff paper",
    "report": "cuemask report result",
    "review": "cuemask review result --annotator Ada --open",
    "segment": "cuemask segment op1.mp4 --out result",
    "status": "cuemask status study --watch",
    "train": "cuemask train day1/*.mp4 --out model",
    "verify": "cuemask verify result",
}


class Command(click.Command):
    """A command whose help has its options in groups and ends with an example."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, in groups where there are many."""
        shown = [param for param in self.get_params(ctx) if isinstance(param, click.Option)]
        rows = {name(param): record for param in shown if (record := param.get_help_record(ctx))}
        groups = OPTIONS if len(rows) > FEW else {}
        grouped = {each for names in groups.values() for each in names}
        sections = [(title, [rows[each] for each in names if each in rows]) for title, names in groups.items()]
        sections.append(("Other" if groups else "Options", [row for each, row in rows.items() if each not in grouped]))
        for title, records in sections:
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)
        example(ctx, formatter)


class Sections(click.Group):
    """A group whose commands stand in sections, each with its whole summary."""

    command_class = Command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands."""
        names = self.list_commands(ctx)
        placed = {name for group in COMMANDS.values() for name in group}
        sections = [(title, [name for name in group if name in names]) for title, group in COMMANDS.items()]
        sections.append(("Commands", [name for name in names if name not in placed]))
        for title, found in sections if self.name == "main" else [("Commands", names)]:
            if found:
                with formatter.section(title):
                    formatter.write_dl([(name, summary(self.commands[name])) for name in found])
        example(ctx, formatter)


def name(option: click.Option) -> str:
    """What its parameter is called; of --help, "help"."""
    return "help" if "--help" in option.opts else option.name or ""


def summary(command: click.Command) -> str:
    """The first sentence of a command's help, whole."""
    words = " ".join((command.short_help or command.help or "").split("\n\n")[0].split())
    return words.partition(". ")[0].rstrip(".") + "."


def example(ctx: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the command's example, if it has one."""
    called = " ".join(ctx.command_path.split()[-2:])
    line = EXAMPLES.get(called) or EXAMPLES.get(ctx.info_name or "")
    if line and ctx.parent is not None:
        with formatter.section("Example"):
            formatter.write_text(line)
