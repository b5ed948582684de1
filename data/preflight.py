"""Say what this machine lacks, before `make setup` installs anything.

    python3 data/preflight.py cpu|gpu    print a line for each thing that is missing
    python3 data/preflight.py torch URL  print the options with which pip finds torch

Exit with 1 if something is missing. This file needs the standard library alone and runs on any
Python 3: an old Python must get a message, not a SyntaxError.
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
    """Return what is wrong with the version of this Python, or nothing."""
    version = tuple(sys.version_info[:2])
    if version in SUPPORTED:
        return ""
    names = [f"python{major}.{minor}" for major, minor in reversed(SUPPORTED)]
    found = [name for name in names if can_run(name)]
    install = "" if found else f"install one, for example {names[-1]}; "
    clean = "make clean; " if Path(sys.prefix) == VENV else ""
    return (
        f"this is Python {version[0]}.{version[1]}, and searchapp is tested with Python 3.11, "
        f"3.12 and 3.13: {install}{clean}make setup PYTHON={(found or names[-1:])[0]}"
    )


def can_run(program: str) -> bool:
    """Tell whether a Python of this name runs: a version manager may have it switched off."""
    if shutil.which(program) is None:
        return False
    quiet = subprocess.DEVNULL
    return subprocess.call([program, "-c", ""], stdout=quiet, stderr=quiet) == 0


def check_venv() -> str:
    """Return how to install the venv module, or nothing if it is complete."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError as error:
        return (
            f"Python cannot make a virtual environment (no module {error.name}): "
            f"apt-get install python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        )
    return ""


def check_space(extra: str) -> list:
    """Return a line for each disk that is too small for the install."""
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
            remedy = "free some" if folder == ROOT else "free some, or set TMPDIR to another disk"
            lines.append(
                f"the disk of {folder} has {free:.1f} GB free, and the install takes "
                f"{size:.0f} GB: {remedy}"
            )
    return lines


def list_missing(extra: str) -> list:
    """Return a line for each thing that this machine lacks for an extra: cpu or gpu."""
    lines = [check_python() or check_venv(), *check_space(extra)]
    if not check_python():  # an older Python may not understand the file
        needs = runpy.run_path(str(ROOT / "searchapp" / "engines" / "requirements.py"))
        if extra == "cpu":
            lines += needs["list_cpu_problems"]()
        else:
            lines += needs["list_gpu_problems"](CUDA, "make setup EXTRA=cpu")
    return [line for line in lines if line]


def probe_index(index: str) -> str:
    """Return why an index does not answer, or nothing if it does, after PROBE_S at most."""
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

    # A lookup of the host's name has no timeout of its own.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PROBE_S)
    return answers[0] if answers else f"no answer within {PROBE_S} s"


def hide_credentials(url: str) -> str:
    """Return a URL without the user and password that it may hold."""
    return re.sub("//[^/@]*@", "//", url)


def read_torch_version() -> str:
    """Return the version of torch that vLLM's CPU build needs."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    lock = ROOT / "data" / "constraints" / f"cpu-{version}.txt"
    return re.findall("^torch==(.+)$", lock.read_text(encoding="utf-8"), re.MULTILINE)[0]


def can_install_torch(version: str, options: list) -> bool:
    """Tell whether pip finds a version of torch for this Python, or has installed it."""
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    said = ""
    for words in (["show", "torch"], ["index", "versions", "torch", *options]):
        done = subprocess.run(
            [*pip, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        )
        said += done.stdout.decode()
    return version in re.split(r"[\s,]+", said)


def list_torch_options(index: str) -> list:
    """Return the options with which pip finds torch; exit with a message if it finds none."""
    why = probe_index(index) if index else ""
    options = ["--extra-index-url", index] if index and not why else []
    if why:
        said = f"does not answer ({why}): going on without it"
        print(f"setup: {hide_credentials(index)} {said}", file=sys.stderr)
    version = read_torch_version()
    if not can_install_torch(version, options):
        sys.exit(
            f"setup: no wheel of torch {version} is found for Python "
            f"{sys.version_info[0]}.{sys.version_info[1]} on {platform.machine()}, and vLLM for "
            "the CPU needs it.\n"
            "  Either name PyTorch's CPU index or a mirror of it: make setup TORCH_INDEX=URL\n"
            "  or download the wheel into a folder elsewhere: PIP_FIND_LINKS=FOLDER make setup"
        )
    return options


def main() -> None:
    """Run the checks that the arguments name."""
    if sys.argv[1] == "torch":
        print(" ".join(list_torch_options(sys.argv[2])))
        return
    lines = list_missing(sys.argv[1])
    for line in lines:
        print(f"setup: {line}", file=sys.stderr)
    sys.exit(1 if lines else 0)


if __name__ == "__main__":
    main()
