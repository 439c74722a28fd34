# SPDX-License-Identifier: Apache-2.0
"""IPython's InteractiveShell without a terminal, a history file, a profile or a configuration."""

import fnmatch
import os
import subprocess
import sys
import threading

import IPython
import traitlets
from IPython.core import interactiveshell
from IPython.core.autocall import ExitAutocall
from IPython.core.compilerop import CachingCompiler
from IPython.core.error import UsageError
from IPython.core.profiledir import ProfileDir
from traitlets import Type
from traitlets.config import Config

from _retort import display, errors, figures, imports, magics

errors.hide(IPython)
errors.hide(traitlets)


class Memory(dict):
    """In the place of IPython's data base in the profile: what %store and its like keep lasts as long as the session."""

    def keys(self, pattern=None):
        return super().keys() if pattern is None else fnmatch.filter(super().keys(), pattern)

    def uncache(self, *items):
        pass


class NoFlag(threading.Event):
    """Nobody waits for the history to be saved; and an Event's lock, if a signal handler raises at the wrong instant, stays locked."""

    def set(self):
        pass


class NoProfile(ProfileDir):
    """A profile's directory that is not made."""

    def _location_changed(self, change):
        pass


class Exit(ExitAutocall):
    """exit(code) and quit(code), with or without parentheses, as Python's own but for closing sys.stdin."""

    def __call__(self, code=None):
        raise SystemExit(code)


class Compiler(CachingCompiler):
    name = None  # of the cell that is about to run

    def get_code_name(self, raw_code, transformed_code, number):
        return self.name or super().get_code_name(raw_code, transformed_code, number)


class Shell(interactiveshell.InteractiveShell):
    display_pub_class = Type(display.Publisher)
    displayhook_class = Type(display.Hook)
    compiler_class = Type(Compiler)
    session = None

    # ---- what touches no disk ----

    def _ipython_dir_changed(self, change):
        pass

    def init_ipython_dir(self, ipython_dir):
        self.ipython_dir = os.path.join(os.environ.get("TMPDIR", "/tmp"), ".ipython")

    def init_profile_dir(self, profile_dir):
        self.profile_dir = NoProfile(location=os.path.join(self.ipython_dir, "profile_default"), parent=self)

    def init_virtualenv(self):
        pass

    def init_display_formatter(self):
        self.display_formatter = display.Formatter(parent=self)
        self.configurables.append(self.display_formatter)
        self.figures = figures.Figures(self)

    def init_magics(self):
        super().init_magics()
        self.register_magics(magics.Scripts, magics.Refusals)

    # ---- output ----

    def display_figure(self, figure):
        data, metadata = self.display_formatter.format(figure)
        self.display_pub.publish(data, metadata)

    def showtraceback(self, exc_tuple=None, filename=None, tb_offset=None, exception_only=False, running_compiled_code=False):
        """For errors that do not end the cell: of magics, of formatters."""
        value = exc_tuple[1] if exc_tuple else sys.exc_info()[1] or getattr(sys, "last_value", None)
        if value is None:
            print("No traceback available to show.", file=sys.stderr)
        else:
            errors.report(value)

    def showsyntaxerror(self, filename=None, running_compiled_code=False):
        self.showtraceback()

    def enable_gui(self, gui=None):
        if gui not in (None, "inline", "agg"):
            raise UsageError(f"{gui}: there is no screen in here; figures are shown in cells")

    def enable_matplotlib(self, gui=None):
        """Figures are shown in cells, whatever is asked for that can be had."""
        if gui not in (None, "auto", "inline", "agg", "notebook", "nbagg", "widget", "ipympl"):
            raise UsageError(f"%matplotlib {gui}: there is no screen in here; figures are shown in cells")
        import matplotlib.pyplot  # noqa: F401

        return None, "agg"

    def safe_execfile(self, fname, *where, exit_ignore=False, raise_exceptions=False, shell_futures=False):
        """%run: what ends the file ends the cell."""
        try:
            super().safe_execfile(fname, *where, exit_ignore=exit_ignore, raise_exceptions=True, shell_futures=shell_futures)
        except SystemExit as error:
            self._keep_names(where[0])
            if error.code and not exit_ignore:
                raise
        except BaseException:
            self._keep_names(where[0])
            raise

    def _keep_names(self, names):
        """What a file has defined before it ended."""
        if names is not self.user_ns:
            self.user_ns.update({name: value for name, value in names.items() if not name.startswith("__")})

    def set_next_input(self, s, replace=False):
        """There is no prompt that it could be put into."""

    def ask_exit(self):
        raise SystemExit

    # ---- commands ----

    def system(self, cmd):
        """!cmd: writes where the program writes; its exit code is _exit_code, negative for a signal."""
        cmd = self.var_expand(cmd, depth=1)
        self.session.flush()
        process = subprocess.Popen([magics.shell_program(), "-c", cmd], process_group=0)
        code = magics.wait(process)
        self.user_ns["_exit_code"] = 128 - code if code > 128 else code

    system_piped = system_raw = system


def _forget_program_output(shell):
    shell.history_manager.output_hist.clear()
    shell.history_manager.output_hist_reprs.clear()


class Fresh:
    """What a shell is before its first cell, to be restored after rehearsals."""

    def __init__(self, shell):
        self._shell, self._names = shell, dict(shell.user_ns)

    def restore(self):
        shell, history, hook = self._shell, self._shell.history_manager, self._shell.displayhook
        shell.user_ns.clear()
        shell.user_ns.update(self._names)
        del history.input_hist_parsed[1:], history.input_hist_raw[1:]
        history.db_input_cache.clear()
        history._i00 = history._i = history._ii = history._iii = ""
        _forget_program_output(shell)
        hook._ = hook.__ = hook.___ = ""
        for name in shell.compile._filename_map:
            for cache in ("cache", "_ipython_cache"):
                getattr(sys.modules["linecache"], cache).pop(name, None)
        shell.compile._filename_map.clear()
        shell.execution_count = 1
        shell.last_execution_succeeded, shell.last_execution_result = True, None
        for name in ("last_type", "last_value", "last_traceback"):
            if hasattr(sys, name):
                delattr(sys, name)


def build(session):
    """The shell, with a user's module as __main__."""
    config = Config()
    config.HistoryManager.enabled = False
    config.HistoryManager.hist_file = ":memory:"
    config.InteractiveShell.colors = "NoColor"
    config.InteractiveShell.color_info = False
    config.InteractiveShell.display_page = True
    config.IPCompleter.use_jedi = False
    on_disk, interactiveshell.PickleShareDB = interactiveshell.PickleShareDB, lambda path: Memory()
    Shell.session = session
    try:
        shell = Shell.instance(config=config)
    finally:
        interactiveshell.PickleShareDB = on_disk
    shell.exiter = Exit(shell)
    shell.history_manager.save_flag = NoFlag()
    shell.init_user_ns()
    # All that IPython puts in place for each cell, or makes when it is first used: an interrupt must not find it half done.
    shell.builtin_trap.__enter__()
    shell.display_trap.__enter__()
    shell.display_formatter.format(shell)
    shell.events.register("post_execute", shell.figures.flush)
    imports.Watch(figures.MODULES, shell.figures.settle)
    return shell
