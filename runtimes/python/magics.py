# SPDX-License-Identifier: Apache-2.0
"""Magics that are different here: commands write where the program writes, and what needs a terminal or a network says no."""

import os
import shutil
import signal
import subprocess
import sys

from IPython.core.error import UsageError
from IPython.core.magic import Magics, cell_magic, line_magic, magics_class
from IPython.core.magics.script import ScriptMagics

GRACE_S = 0.5  # between a command's interrupt and its end by force


def wait(process):
    """The exit code of a command that has a process group of its own; an interrupt of the cell ends it."""
    try:
        return process.wait()
    except BaseException as error:
        for number in (signal.SIGINT, signal.SIGKILL):
            try:
                os.killpg(process.pid, number)
                process.wait(GRACE_S)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                pass
        raise error.with_traceback(None) from None


def shell_program():
    return shutil.which(os.environ.get("SHELL") or "bash") or "/bin/sh"


@magics_class
class Scripts(ScriptMagics):
    """%%bash and its like, whose output is the cell's own."""

    @cell_magic("script")
    def shebang(self, line, cell):
        from IPython.utils.process import arg_split

        args, command = ScriptMagics.shebang.parser.parse_known_args(arg_split(line))
        if args.out or args.err or args.bg or args.proc or not command:
            return super().shebang(line, cell)
        self.shell.session.flush()
        try:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, process_group=0)
        except FileNotFoundError:
            raise UsageError(f"there is no program {command[0]!r}") from None
        try:
            process.stdin.write((cell if cell.endswith("\n") else cell + "\n").encode("utf-8", "replace"))
            process.stdin.close()
        except BrokenPipeError:  # it has read enough
            pass
        code = wait(process)
        if code and args.raise_error:
            raise subprocess.CalledProcessError(code, command)

    shebang.parser = ScriptMagics.shebang.parser


@magics_class
class Refusals(Magics):
    """What cannot be had here."""

    @line_magic
    def pip(self, line):
        """Packages are installed on the host: there is no network in here."""
        words = line.split()
        if words and words[0] in ("install", "download", "search", "index", "wheel"):
            raise UsageError(f"%pip {words[0]} needs a network, and there is none in here")
        self.shell.session.flush()
        wait(subprocess.Popen([sys.executable, "-m", "pip", *words], process_group=0))

    @line_magic
    def conda(self, line):
        """Packages are installed on the host: there is no network in here."""
        raise UsageError("%conda needs a network, and there is none in here")

    @line_magic
    def pastebin(self, line):
        """It needs a network."""
        raise UsageError("%pastebin needs a network, and there is none in here")

    @line_magic
    def edit(self, line):
        """It needs a terminal."""
        raise UsageError("%edit needs a terminal, and there is none in here; %%writefile writes files")

    ed = line_magic("ed")(edit)

    @line_magic
    def gui(self, line):
        """It needs a screen."""
        if line.strip():
            raise UsageError("%gui needs a screen, and there is none in here; figures are shown in cells")

    @line_magic
    def load(self, line):
        """Shows a file's text: there is no prompt that it could be put into."""
        name = line.split()[-1] if line.split() else ""
        if "://" in name or not name:
            raise UsageError("%load needs the name of a file; there is no network in here")
        try:
            print(self.shell.find_user_code(name, search_ns=True))
        except (ValueError, TypeError) as error:
            raise UsageError(str(error)) from None
