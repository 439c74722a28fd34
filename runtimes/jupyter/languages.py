# SPDX-License-Identifier: Apache-2.0
"""What the Jupyter protocol has no message for, said in the kernel's own language: a cell's environment, directory and figures.

Found by `language_info.name` of the kernel. A language that is not here has none of it: a cell that asks for it is refused.
"""

import json


class Language:
    """One that nothing is known of."""

    names_of_exit = ()  # errors by which a program asks to end; the value is the exit code
    names_of_interrupt = None  # None: each error of a cell that was interrupted
    name_of_interrupt = "Interrupt"
    end_of_input = "\x04"
    has_input = has_inspection = True
    silent_is_mute = False  # a silent cell would not even print, nor say that it failed
    shows_values = False  # values come as display_data: see R
    blank = ""  # what an empty cell becomes, where it would not count otherwise

    def begin(self):
        """Runs once, before the first cell; its failure does not matter."""
        return None

    def before(self, env, cwd, formats):
        """Runs before a cell that has one of these; None: cannot be done."""
        return None

    def after(self):
        """Puts the environment back."""
        return None

    def exit_code(self, value):
        return 0

    def name_of(self, error):
        """An error's name, from what the kernel calls it."""
        return error

    def found(self, data):
        """Is what the kernel says of a name more than that it knows none?"""
        return bool(data)


class Python(Language):
    names_of_exit = ("SystemExit",)
    names_of_interrupt = ("KeyboardInterrupt",)
    name_of_interrupt = "KeyboardInterrupt"
    blank = "#"

    BEGIN = """
import warnings
warnings.filterwarnings("ignore", message="To exit: use 'exit'")
shell = get_ipython()
def ask_exit(shell=shell):
    shell.keepkernel_on_exit = True
    shell.payload_manager.write_payload({"source": "ask_exit", "keepkernel": True})
shell.ask_exit = ask_exit
import zmq  # what comes faster than it can be sent is to be kept, not dropped
shell.kernel.iopub_thread.schedule(lambda: shell.kernel.iopub_thread.socket.setsockopt(zmq.SNDHWM, 0))
"""
    BEFORE = """
import os, sys
if cwd is not None:
    os.chdir(cwd)
if formats:
    from IPython import get_ipython
    get_ipython().config.InlineBackend.figure_formats = set(formats)
    if "matplotlib.figure" in sys.modules:
        from matplotlib_inline.backend_inline import set_matplotlib_formats
        set_matplotlib_formats(*formats)
sys._retort_before = {name: os.environ.get(name) for name in env}
for name, value in env.items():
    os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
"""
    AFTER = """
import os, sys
for name, value in sys.__dict__.pop("_retort_before", {}).items():
    os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)
"""

    @staticmethod
    def _apart(code, **names):
        """A statement that leaves no names behind and has no value."""
        inside = ", ".join(f"{name!r}: {value}" for name, value in names.items())
        return f"exec({code!r}, {{{inside}}})"

    def begin(self):
        return self._apart(self.BEGIN, get_ipython="get_ipython")

    def before(self, env, cwd, formats):
        return self._apart(self.BEFORE, env=ascii(env), cwd=ascii(cwd), formats=ascii(formats))

    def after(self):
        return self._apart(self.AFTER)

    def name_of(self, error):
        return error[8:-2].rpartition(".")[2] if error.startswith("<class '") else error  # xeus-python says it so

    def exit_code(self, value):
        """As Python's: a number is the code, nothing is 0, a text is an error (which the caller prints)."""
        text = value.strip()
        if text in ("", "None", "False"):
            return 0
        digits = text[1:] if text[0] == "-" else text
        return int(text) & 0xFF if digits.isascii() and digits.isdigit() and len(digits) < 20 else 1


class R(Language):
    """IRkernel sends values as display_data, before or after figures as it comes, and loses q()'s status.

    BEGIN has it mark what a program displays itself, so that the rest are values, and say that an invisible value came after one.
    """

    names_of_interrupt = ("interrupt",)
    name_of_interrupt = "interrupt"
    end_of_input = ""
    silent_is_mute = True
    shows_values = True

    BEGIN = """
local({
  display <- getOption("jupyter.base_display_func")
  options(jupyter.base_display_func = function(data, metadata = NULL) display(data, c(metadata, list(retort = "displayed"))))
  executor <- environment(display)
  replace <- function(name, value) {
    unlockBinding(name, executor)
    assign(name, value, executor)
  }
  handle_value <- executor$handle_value
  shown <- FALSE
  replace("handle_value", function(obj, visible) {
    if (shown && !visible) display(structure(list(), names = character()), list(retort = "invisible"))
    shown <<- visible
    handle_value(obj, visible)
  })
  quit <- executor$quit
  replace("quit", function(save = "default", status = 0, runLast = TRUE) {
    quit("no", status, runLast)
    n <- length(executor$payload)
    if (n > 0) executor$payload[[n]]$status <- status
  })
})
"""
    BEFORE = """
local({{
  {setwd}
  {formats}
  {before}
  {setenv}
  {unsetenv}
  invisible(.Last.value)
}})
"""
    AFTER = """
local({
  before <- getOption("retort.before")
  options(retort.before = NULL)
  for (name in names(before))
    if (is.na(before[[name]])) Sys.unsetenv(name) else do.call(Sys.setenv, stats::setNames(list(before[[name]]), name))
})
"""
    MIMES = {"png": "image/png", "svg": "image/svg+xml", "jpeg": "image/jpeg", "pdf": "application/pdf"}

    @staticmethod
    def _text(text):
        return '"' + "".join(c if c.isascii() and c.isalnum() else f"\\U{ord(c):08x}" for c in text) + '"'

    def begin(self):
        return self.BEGIN

    def before(self, env, cwd, formats):
        values = {name: value for name, value in env.items() if value is not None}
        gone = [name for name, value in env.items() if value is None]
        names = ", ".join(self._text(name) for name in env)
        mimes = ", ".join(self._text(mime) for mime in ["text/plain", *(self.MIMES[one] for one in formats or () if one in self.MIMES)])
        return self.BEFORE.format(
            setwd="" if cwd is None else f"setwd({self._text(cwd)})",
            formats=f"options(jupyter.plot_mimetypes = c({mimes}))" if formats else "",
            before=f"options(retort.before = Sys.getenv(c({names}), unset = NA, names = TRUE))" if env else "",
            setenv="Sys.setenv(" + ", ".join(f"{self._text(name)} = {self._text(value)}" for name, value in values.items()) + ")" if values else "",
            unsetenv="Sys.unsetenv(c(" + ", ".join(self._text(name) for name in gone) + "))" if gone else "",
        )

    def after(self):
        return self.AFTER

    def found(self, data):
        return bool(data) and not data.get("text/plain", "").startswith("# Help document:\nNo documentation for ")


class JavaScript(Language):
    """Deno's and Node's kernels: both have `process`."""

    has_inspection = False

    def before(self, env, cwd, formats):
        if formats:
            return None
        return (
            f"void ((p, env, cwd) => {{ if (cwd !== null) p.chdir(cwd); globalThis.__retort = {{}};"
            f" for (const n in env) {{ globalThis.__retort[n] = p.env[n]; if (env[n] === null) delete p.env[n]; else p.env[n] = env[n] }} }})"
            f'(globalThis["process"], {json.dumps(env)}, {json.dumps(cwd)})'
        )

    def after(self):
        return (
            'void ((p, before) => { for (const n in before) if (before[n] === undefined) delete p.env[n]; else p.env[n] = before[n];'
            ' delete globalThis["__retort"] })(globalThis["process"], globalThis["__retort"] ?? {})'
        )


KNOWN = {"python": Python, "ipython": Python, "r": R, "javascript": JavaScript, "typescript": JavaScript}


def language_of(info):
    """By the content of a kernel_info_reply."""
    about = info.get("language_info")
    name = about.get("name") if isinstance(about, dict) else None
    return KNOWN.get(str(name).lower(), Language)()
