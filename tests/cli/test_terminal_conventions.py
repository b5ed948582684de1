"""The commands in a shell: completion, help, colors, pipes, Ctrl-C, locales."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.library import RunCommand, library_environment
from support.processes import HEAVY_MODULES, slow_command

from searchapp.cli import COMMANDS
from searchapp.cli.bench import COMMANDS as BENCH
from searchapp.cli.desktop import COMMANDS as DESKTOP
from searchapp.cli.saved import COMMANDS as SAVED

GROUPS = {"bench": BENCH, "desktop": DESKTOP, "saved": SAVED}


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """Return the variables of a shell with searchapp on its PATH."""
    program = tmp_path / "bin" / "searchapp"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m searchapp "$@"\n')
    program.chmod(0o755)
    path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
    return os.environ | library_environment(tmp_path) | {"PATH": path}


def completed(shell: dict[str, str], kind: str, words: str) -> list[str]:
    """Return the lines that searchapp prints for the completion scripts of zsh and fish."""
    last = {"COMP_CWORD": words.rpartition(" ")[2] if kind == "fish" else str(words.count(" "))}
    variables = {"COMP_WORDS": words.rstrip(), "_SEARCHAPP_COMPLETE": f"{kind}_complete"} | last
    result = subprocess.run(
        ["searchapp"], env=shell | variables, capture_output=True, text=True, check=True
    )
    assert result.stderr == ""
    return result.stdout.splitlines()


def test_bash_completes(shell: dict[str, str]) -> None:
    """The printed script completes commands, options and models in a real bash."""
    script = subprocess.run(
        ["searchapp", "completion", "bash"], env=shell, capture_output=True, text=True, check=True
    ).stdout
    for words, expected in (
        ("searchapp wa", ["watch"]),
        ("searchapp query --pre", ["--preview"]),
        ("searchapp index --model clip-vit-b", ["clip-vit-b-32"]),
        ("searchapp query --format he", ["heif"]),
        ("searchapp bench m", ["models"]),
    ):
        code = f"{script}\nCOMP_WORDS=({words}); COMP_CWORD={words.count(' ')}\n"
        code += '_searchapp_completion searchapp; printf "%s\\n" "${COMPREPLY[@]}"'
        result = subprocess.run(
            ["bash", "-c", code], env=shell, capture_output=True, text=True, check=True
        )
        assert result.stdout.split() == expected, words


@pytest.mark.parametrize("kind", ["zsh", "fish"])
def test_zsh_and_fish_complete(shell: dict[str, str], kind: str) -> None:
    """The scripts call searchapp, which answers with commands and descriptions."""
    script = subprocess.run(
        ["searchapp", "completion", kind], env=shell, capture_output=True, text=True, check=True
    ).stdout
    assert f"_SEARCHAPP_COMPLETE={kind}_complete" in script
    answer = "\n".join(completed(shell, kind, "searchapp wa"))
    assert "watch" in answer and COMMANDS["watch"] in answer


def test_collections_are_completed(
    run: RunCommand, photos: Path, model: Path, shell: dict[str, str]
) -> None:
    """--collection completes collections of the library, and nothing without a library."""
    words = "searchapp query --collection fa"
    assert "".join(completed(shell, "zsh", words)) == ""
    run("index", photos, "--model", model)
    assert "fake-clip" in completed(shell, "zsh", words)


def test_saved_searches_are_completed(
    run: RunCommand, photos: Path, model: Path, shell: dict[str, str]
) -> None:
    run("index", photos, "--model", model)
    run("saved", "add", "reds", "red")
    assert "reds" in completed(shell, "zsh", "searchapp query --saved re")
    assert "reds" in completed(shell, "zsh", "searchapp saved show re")


def test_completion_of_commands_is_quick() -> None:
    """It imports no command and no heavy module."""
    code = f"""if True:
        import os, sys
        os.environ |= {{"_SEARCHAPP_COMPLETE": "zsh_complete", "COMP_WORDS": "searchapp"}}
        os.environ["COMP_CWORD"] = "1"
        sys.argv = ["searchapp"]
        from searchapp.cli import main
        try:
            main()
        except SystemExit:
            pass
        loaded = [n for n in {HEAVY_MODULES!r} if n in sys.modules]
        ours = {{n for n in sys.modules if n.startswith("searchapp.cli.")}}
        light = {{"lazy_group", "log_options", "standard_streams"}}
        loaded += ours - {{"searchapp.cli." + name for name in light}}
        print(loaded, file=sys.stderr)
    """
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stderr == "[]\n"
    assert "watch" in result.stdout


@pytest.mark.parametrize(
    "name",
    [[n] for n in COMMANDS if n not in GROUPS] + [[n, each] for n in GROUPS for each in GROUPS[n]],
)
def test_every_help_ends_with_examples(run: RunCommand, name: list[str]) -> None:
    """The examples use the command, and only options that it has."""
    text = run(*name, "--help").stdout
    body, _, examples = text.partition("\nExamples:\n")
    assert examples, name
    for line in examples.splitlines():
        assert line.startswith(f"  searchapp {' '.join(name)}"), line
        for word in line.split("|")[0].split():
            if word.startswith("--"):
                assert word.partition("=")[0] in body, (line, word)
    assert "\b" not in text


def test_help_names_exit_codes(run: RunCommand) -> None:
    """The help of searchapp names the exit codes."""
    assert "130" in run("--help").stdout


def test_failures_for_xargs(run: RunCommand, photos: Path, model: Path) -> None:
    """--paths and -0 print paths with all their bytes."""
    odd = os.fsdecode(b"a\nb\xff.jpg")
    (photos / odd).touch()
    (photos / "bad.jpg").touch()
    run("index", photos, "--model", model)
    expected = [os.fsencode(photos / name) for name in (odd, "bad.jpg")]
    assert sorted(run("failures", "-0").stdout_bytes.split(b"\0")[:-1]) == sorted(expected)
    assert run("failures", "--paths").stdout_bytes.count(b"\n") == 3


def test_locales_do_not_change_json(
    run: RunCommand, photos: Path, model: Path, shell: dict[str, str]
) -> None:
    """Numbers and times in JSON are the same in each locale."""
    run("index", photos, "--model", model)
    outputs = []
    for locale in ("C.UTF-8", "de_DE.UTF-8"):
        result = subprocess.run(
            ["searchapp", "info", "--json"],
            env=shell | {"LC_ALL": locale, "LANG": locale}, capture_output=True, check=True,
        )  # fmt: skip
        outputs.append(result.stdout)
        json.loads(result.stdout)
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("variables", [{"TERM": "dumb"}, {"NO_COLOR": "1", "TERM": "xterm"}])
def test_no_colors_with_no_color_or_a_dumb_terminal(
    tmp_path: Path, photos: Path, model: Path, variables: dict[str, str]
) -> None:
    """The command sends no color codes to a dumb terminal, or with NO_COLOR."""
    import pty

    parent, child = pty.openpty()
    environment = os.environ | library_environment(tmp_path) | variables
    process = subprocess.Popen(
        slow_command("index", photos, "--model", model, seconds_per_picture=0),
        stderr=child,
        stdout=child,
        env=environment,
    )
    os.close(child)
    shown = b""
    while True:
        try:
            part = os.read(parent, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
    os.close(parent)
    assert process.wait(30) == 0
    assert b"3 added" in shown
    if variables["TERM"] == "dumb":
        assert b"\x1b" not in shown
    for color in range(30, 50):
        assert f"\x1b[{color}m".encode() not in shown
    assert b";38;" not in shown and b"[38;" not in shown


def test_head_ends_a_list_quietly(tmp_path: Path, photos: Path, model: Path) -> None:
    """`searchapp ... | head -1` prints one line and no traceback."""
    environment = os.environ | library_environment(tmp_path)
    subprocess.run(
        slow_command("index", photos, "--model", model, seconds_per_picture=0),
        env=environment,
        check=True,
    )
    for arguments in (["query", "red", "--json"], ["--help"]):
        first = subprocess.Popen(
            slow_command(*arguments, seconds_per_picture=0),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        result = subprocess.run(["head", "-1"], stdin=first.stdout, capture_output=True, check=True)
        assert first.stdout and first.stderr
        first.stdout.close()
        assert result.stdout.count(b"\n") == 1
        assert b"Traceback" not in first.stderr.read()
        first.wait(20)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="This system has no /dev/full.")
@pytest.mark.parametrize("command", [["models", "--json"], ["docs"], ["completion", "bash"]])
def test_an_output_that_cannot_be_written_is_one_line(
    shell: dict[str, str], command: list[str]
) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            ["searchapp", *command], env=shell, stdout=full, stderr=-1, text=True,
            check=False,
        )  # fmt: skip
    assert result.returncode == 1
    assert re.fullmatch(r"searchapp: the output cannot be written: No space.*\n", result.stderr)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(
    shell: dict[str, str], run: RunCommand, photos: Path, model: Path, closed: str
) -> None:
    """The numbers of closed streams are not given to files, so the library stays as it is."""
    run("index", photos, "--model", model)
    line = f"searchapp query --in '{photos}' --paths {closed}"
    result = subprocess.run(["sh", "-c", line], env=shell, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, b"")
    assert len(result.stdout.splitlines()) == (0 if " >&-" in f" {closed}" else 3)
    assert run("check").exit_code == 0


def test_ctrl_c_is_clean(tmp_path: Path, photos: Path, model: Path) -> None:
    """Ctrl-C while the engine works prints one line; the exit status is 130."""
    environment = os.environ | library_environment(tmp_path) | {"SEARCHAPP_MODEL": str(model)}
    subprocess.run(
        slow_command("index", photos, seconds_per_picture=0), env=environment, check=True
    )
    slow = slow_command("query", "red")
    slow[2] = slow[2].replace("time.sleep(", "print('now', flush=True); time.sleep(30 + ")
    process = subprocess.Popen(
        slow, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout and process.stderr
    assert process.stdout.readline() == "now\n"
    process.send_signal(signal.SIGINT)
    assert process.stderr.read().splitlines()[-1] == "searchapp: interrupted"
    assert process.wait(20) == 130
