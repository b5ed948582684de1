"""Check the requirements of `make setup` before it installs anything.

    python3 data/preflight.py cpu|gpu    print a line for each missing requirement
    python3 data/preflight.py torch URL  print the options for pip to find torch

The exit code is 1 if something is missing. This file uses only the standard library, and syntax
of Python 3.6: with an old Python, it has to print a message, not a SyntaxError.
"""

import platform
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
SUPPORTED = ((3, 11), (3, 12), (3, 13))
VENV_GB = {"cpu": 5, "gpu": 10}  # measured with the tools of tests: 4.7 and 8.9
UNPACK_GB = {"cpu": 2, "gpu": 5}  # what pip downloads into the temporary folder
CUDA = 13  # the major version of CUDA that torch in constraints/gpu-*.txt is built for
PROBE_S = 5


def check_python() -> str:
    """Return how to get a supported Python if this one is not supported, else an empty string."""
    version = tuple(sys.version_info[:2])
    if version in SUPPORTED:
        return ""
    names = [f"python{major}.{minor}" for major, minor in reversed(SUPPORTED)]
    found = [name for name in names if can_run(name)]
    install = "" if found else f"Install one, for example {names[-1]}. "
    clean = "make clean; " if Path(sys.prefix) == VENV else ""
    return (
        f"this is Python {version[0]}.{version[1]}, but searchapp needs Python 3.11, 3.12 or 3.13. "
        f"{install}Run: {clean}make setup PYTHON={(found or names[-1:])[0]}"
    )


def can_run(program: str) -> bool:
    """Return whether the Python with this name starts; a version manager may have disabled it."""
    if shutil.which(program) is None:
        return False
    quiet = subprocess.DEVNULL
    return subprocess.call([program, "-c", ""], stdout=quiet, stderr=quiet) == 0


def check_venv() -> str:
    """Return how to install the venv module if it is incomplete, else an empty string."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        return (
            f"Python cannot create a virtual environment (no module {error.name}). "
            f"Run: apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        )
    return ""


def check_space(extra: str) -> list:
    """Return a line for each disk without enough free space for the install."""
    installed = sum(path.lstat().st_size for path in VENV.rglob("*")) / 1e9
    needs = {}
    for folder, size in (
        (ROOT, max(1, VENV_GB[extra] - installed)),
        (Path(tempfile.gettempdir()), UNPACK_GB[extra]),
    ):
        name, before = needs.get(folder.stat().st_dev, (folder, 0))
        needs[folder.stat().st_dev] = (name, before + size)
    lines = []
    for folder, size in needs.values():
        free = shutil.disk_usage(str(folder)).free / 1e9
        if free < size:
            remedy = (
                "Free some space"
                if folder == ROOT
                else "Free some space, or set TMPDIR to a folder on another disk"
            )
            lines.append(
                f"the disk of {folder} has {free:.1f} GB free, but the install needs "
                f"{size:.0f} GB. {remedy}."
            )
    return lines


def list_missing(extra: str) -> list:
    """Return one line for each unmet requirement of an extra; the extra is "cpu" or "gpu"."""
    lines = [check_python() or check_venv(), *check_space(extra)]
    if not check_python():  # an old Python may not be able to parse the file
        needs = runpy.run_path(str(ROOT / "searchapp" / "engines" / "requirements.py"))
        if extra == "cpu":
            lines += needs["list_cpu_problems"]()
        else:
            lines += needs["list_gpu_problems"](CUDA, "make setup EXTRA=cpu")
    return [line for line in lines if line]


def probe_index(index: str) -> str:
    """Return why a package index does not answer within PROBE_S seconds; empty if it answers."""
    answers = []

    def ask() -> None:
        # pip sends the credentials that a URL may hold; urllib does not understand them.
        url = hide_credentials(index).rstrip("/") + "/torch/"
        try:
            urllib.request.urlopen(url, timeout=PROBE_S).close()
            answers.append("")
        except urllib.error.HTTPError as error:
            answers.append("" if error.code == 401 else f"HTTP status {error.code}")
        except (OSError, ValueError) as error:
            answers.append(str(getattr(error, "reason", error)))

    # The lookup of the host name has no timeout, so it runs in a thread.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_S)
    return answers[0] if answers else f"no answer within {PROBE_S} s"


def hide_credentials(url: str) -> str:
    """Return a URL without user and password."""
    return re.sub("//[^/@]*@", "//", url)


def read_torch_version() -> str:
    """Return the version of torch that vLLM's CPU build needs."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    lock = ROOT / "data" / "constraints" / f"cpu-{version}.txt"
    return re.findall("^torch==(.+)$", lock.read_text(encoding="utf-8"), re.MULTILINE)[0]


def can_install_torch(version: str, options: list) -> bool:
    """Return whether pip finds this version of torch for this Python, or has installed it."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    output = ""
    for arguments in (["show", "torch"], ["index", "versions", "torch", *options]):
        process = subprocess.run(
            [*pip, *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        output += process.stdout.decode()
    return version in re.split(r"[\s,]+", output)


def list_torch_options(index: str) -> list:
    """Return the options for pip to find torch; exit with a message if pip does not find it."""
    problem = probe_index(index) if index else ""
    options = ["--extra-index-url", index] if index and not problem else []
    if problem:
        print(
            f"setup: the package index {hide_credentials(index)} does not answer ({problem}); "
            "continuing without this index",
            file=sys.stderr,
        )
    version = read_torch_version()
    if not can_install_torch(version, options):
        sys.exit(
            f"setup: pip finds no wheel of torch {version} for Python "
            f"{sys.version_info[0]}.{sys.version_info[1]} on {platform.machine()}; vLLM for the "
            "CPU needs it. Do one of these:\n"
            "  - give the URL of PyTorch's CPU index, or of a mirror: make setup TORCH_INDEX=URL\n"
            "  - download the wheel on another machine: PIP_FIND_LINKS=FOLDER make setup"
        )
    return options


def main() -> None:
    """Run the check that the command line names; exit with code 1 if a requirement is missing."""
    if sys.argv[1] == "torch":
        print(" ".join(list_torch_options(sys.argv[2])))
        return
    lines = list_missing(sys.argv[1])
    for line in lines:
        print(f"setup: {line}", file=sys.stderr)
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
