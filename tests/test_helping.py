from __future__ import annotations

import json
import tomllib

import click
import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner

from cuemask.cli import main
from cuemask.helping import COMMANDS, EXAMPLES, OPTIONS
from cuemask.recipe import DEFAULT, NAMED, load_recipe


def every_command(group=main, path=()):
    for name, command in group.commands.items():
        yield " ".join((*path, name)), command
        if isinstance(command, click.Group):
            yield from every_command(command, (*path, name))


ALL = dict(every_command())


def helped(*words):
    result = CliRunner().invoke(main, [*words, "--help"])
    assert result.exit_code == 0, result.output
    return result.output


def test_every_command_stands_in_one_section_and_its_summary_is_whole():
    placed = [name for names in COMMANDS.values() for name in names]
    assert sorted(placed) == sorted(main.commands)
    assert "..." not in helped().replace("[ARGS]...", "")


@pytest.mark.parametrize("name", ALL)
def test_every_command_s_help_ends_with_an_example_of_it_that_parses(name):
    words = EXAMPLES[name].replace("*", "1").split()
    assert " ".join(words[1 : 1 + len(name.split())]) == name
    said = " ".join(helped(*name.split()).split())
    assert said.endswith("Example: " + " ".join(EXAMPLES[name].split()))
    command, rest = ALL[name], words[1 + len(name.split()) :]
    if not isinstance(command, click.Group):
        command.make_context(name, rest)  # raises where an option is not known


def test_a_command_with_many_options_has_them_in_groups():
    said = helped("segment")
    places = [said.index(f"\n{title}:") for title in ("Input", "Method", "Output", "Run", "Example")]
    assert places == sorted(places)
    assert said.index("\nMethod:") < said.index("--recipe") < said.index("--seed") < said.index("\nOutput:")
    assert "\nOther:" not in said


def test_every_option_that_is_grouped_is_one():
    known = {param.name for command in ALL.values() for param in command.params} | {"help"}
    assert {name for names in OPTIONS.values() for name in names} <= known


@pytest.mark.parametrize("option", ["--seed", "--device", "--recipe"])
def test_options_that_all_runs_have_are_told_of(option):
    lines = helped("train").splitlines()
    at = next(k for k, line in enumerate(lines) if line.strip().startswith(option))
    assert len(" ".join(lines[at : at + 2]).split()) > 6


@pytest.mark.parametrize(
    ("words", "begun", "names"),
    [
        (["segment", "--recipe"], "re", ["released"]),
        (["segment", "--dataset"], "endovis", ["endovis2017", "endovis2018", "endovis2015"]),
        (["evaluate", "--protocol"], "end", ["endovis2017"]),
        (["recipes"], "l", ["lesion"]),
    ],
)
def test_names_complete(words, begun, names):
    found = ShellComplete(main, {}, "cuemask", "_CUEMASK_COMPLETE").get_completions(words, begun)
    assert [one.value for one in found] == names


def test_recipes_lists_all_and_prints_one_that_reads_back_as_itself(tmp_path):
    listed = CliRunner().invoke(main, ["recipes"]).output
    assert [line.split()[0] for line in listed.splitlines()] == list(NAMED)
    printed = CliRunner().invoke(main, ["recipes", "default"]).output
    assert tomllib.loads(printed)["name"] == "default"
    file = tmp_path / "mine.toml"
    file.write_text(printed, encoding="utf-8")
    assert load_recipe(str(file)) == DEFAULT


def test_recipes_tells_where_two_differ():
    lines = CliRunner().invoke(main, ["recipes", "default", "--diff", "paper"]).output.splitlines()
    assert lines[0].split() == ["default", "paper"]
    assert ["losses.anchor_form", "log", "linear"] in [line.split() for line in lines]
    assert len(CliRunner().invoke(main, ["recipes", "default", "--diff", "default"]).output.splitlines()) == 1
    assert CliRunner().invoke(main, ["recipes", "defalt"]).exit_code == 2


def test_doctor_tells_versions_and_processors():
    found = json.loads(CliRunner().invoke(main, ["doctor", "--json"]).output)
    told = {one["what"]: one["found"] for one in found}
    assert "numpy" in told["packages"]
    assert "h264" in told["video"]
    assert "contrib" in told["opencv"]
    assert told["processors"].split()[0].isdecimal()
    assert "GB free" in told["disk"]
