# SPDX-License-Identifier: Apache-2.0
"""What the frozen Python (frozen.c) does before it is frozen, and in each fork around the program.

A program that a fork runs must not be able to tell, but by the modules that are loaded already: sys.argv, sys.path,
os.environ, __main__, tracebacks, exit codes, atexit, __del__ are what `python3 -B main.py` gives. Forks differ in their
random state. This file's names are in no module that a program can import.

The same for contexts: where the program's path is that of runner.py, its modules are loaded too and a shell is built and tried,
and each fork becomes a runner (context.py).
"""

import atexit
import builtins
import gc
import logging
import os
import random
import sys
import threading
import types
import weakref
from importlib.machinery import SourceFileLoader

import sitecustomize

COMMON = ("PATH", "HOME", "TMPDIR", "LANG", "USER", "MPLBACKEND", "MPLCONFIGDIR", "XDG_CACHE_HOME")  # what every program has

_main = {}  # what goes into __main__ besides what is there
_usual = b""  # what begin() is told of a program without arguments and variables of its own, if it is as expected
_seeds = ()  # addresses of 624 words that are to be random
_n_modules = 0  # how many there were before the program: those that it imports come after them
_at_exit = []  # what preloaded modules have registered: (function, arguments, keywords)
_context = None  # the module, where forks are to be runners
_n_thread_exits = _n_thread_locks = _n_log_handlers = 0  # how many of each there are before the program


def _note_at_exit(function, /, *arguments, **keywords):
    """Stands in for atexit.register while modules are preloaded."""
    _at_exit.append((function, arguments, keywords))
    return function


def preload(name):
    """Imports a module, if the host has it: what is missing is missing for programs too."""
    register, atexit.register = atexit.register, _note_at_exit
    try:
        __import__(name)
    except ImportError as error:
        if error.name is None or name.split(".")[0] != error.name:
            raise
    finally:
        atexit.register = register
    return True


def _settle_exits():
    """Ends are part of every run. What preloaded modules have to do then is done only where the program gave them something
    to do: see _preloaded_exits. Of others nothing is known, so they stay."""
    global _n_thread_exits, _n_thread_locks, _n_log_handlers
    known = [(function.__module__, getattr(function, "__qualname__", "")) for function, _, _ in _at_exit]
    for name, (function, arguments, keywords) in zip(known, _at_exit):
        if name not in (("logging", "shutdown"), ("PIL._imaging", "clear_cache"), ("matplotlib._pylab_helpers", "Gcf.destroy_all")):
            atexit.register(function, *arguments, **keywords)
    _n_thread_exits = len(threading._threading_atexits)
    with threading._shutdown_locks_lock:
        threading._maintain_shutdown_locks()  # those of threads that have ended
    _n_thread_locks = len(threading._shutdown_locks)
    _n_log_handlers = len(logging._handlerList)


def _find_seeds():
    """Where the state of the two Mersenne twisters lies that programs use without asking: 624 words, each of which may be
    anything, so frozen.c fills them with random bytes in every fork. numpy's own seed() would write to 200 pages. Only if
    they are found to be there; else both are seeded as a program would do it."""
    import ctypes

    offset = object.__basicsize__ + ctypes.sizeof(ctypes.c_int)  # _randommodule.c: the head, the index, the words
    state = random.getstate()
    found = [(id(random._inst) + offset, state[1][:624])]
    if "numpy.random" in sys.modules:
        generator = sys.modules["numpy.random"].mtrand._rand._bit_generator
        found.append((generator.ctypes.state_address, [int(word) for word in generator.state["state"]["key"]]))
    for at, words in found:
        if ctypes.string_at(at, 2496) != b"".join(word.to_bytes(4, sys.byteorder) for word in words):
            return ()
    return tuple(at for at, _ in found)


def _preloaded_exits():
    helpers = sys.modules.get("matplotlib._pylab_helpers")
    if helpers is not None and helpers.Gcf.figs:
        helpers.Gcf.destroy_all()
    if len(logging._handlerList) != _n_log_handlers:
        logging.shutdown()


def _set_file(path):
    """The file that the program is in, where everybody looks for it."""
    _main.update(__loader__=SourceFileLoader("__main__", path), __annotations__={}, __builtins__=builtins, __file__=path,
                 __cached__=None)
    sys.path[0] = os.path.dirname(path)
    module = sys.modules.get("__main__")
    if module is not None:
        module.__dict__.update(_main)


def ready(path):
    """The last thing before the freeze: what every program needs is there, nothing is left for the collector."""
    global _context, _n_modules, _seeds, _usual
    if os.path.basename(path) == "runner.py":
        _context = _load_context(path)
        _context.ready()  # what preloaded modules want to be called at the end is not: it goes with the context's box
        _seeds = _find_seeds()
        gc.collect()
        gc.freeze()
        return True
    atexit.unregister(logging.shutdown)  # of the import above
    _at_exit.append((logging.shutdown, (), {}))
    for name in ("_strptime", "json", "re", "io", "traceback", "linecache", "tokenize", "encodings.idna"):
        __import__(name)
    if "matplotlib.pyplot" in sys.modules:  # its first figure loads fonts and a back end
        pyplot = sys.modules["matplotlib.pyplot"]
        figure = pyplot.figure()
        pyplot.plot([1, 2], [3, 4])
        figure.canvas.draw()
        pyplot.close("all")
    del sys.modules["__main__"]  # a program gets one that the collector sees: what is there now will be frozen
    sys.path[:] = ["", *(entry for entry in sys.path if entry)]
    _set_file(path)
    sys.argv[:] = [os.path.basename(path)]
    sys.orig_argv[:] = [sys.executable, "-B", *sys.argv]
    for name in [name for name in os.environ if name not in COMMON]:
        del os.environ[name]
    texts = [f"{name}={os.environ[name]}" for name in COMMON if name in os.environ]
    texts.insert(5, f"PYTHONPATH={os.path.dirname(sitecustomize.__file__)}:")  # as runtime.yaml's run has it
    _usual = b"".join(os.fsencode(text) + b"\0" for text in ("1", sys.argv[0], *texts))
    _settle_exits()
    _seeds = _find_seeds()
    _n_modules = len(sys.modules)
    gc.collect()
    gc.freeze()
    return True


def _load_context(path):
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location("_retort", path, submodule_search_locations=[os.path.dirname(path)])
    sys.modules["_retort"] = module_from_spec(spec)
    return __import__("_retort.context").context


def rehearse():
    """In a fork, before there is a program: all that can be done without one, and once the way that it will go, so that
    the pages that are written to are this fork's own before anybody waits."""
    if not _seeds:  # every fork has random numbers of its own: see _find_seeds
        random.seed()
        if "numpy.random" in sys.modules:
            sys.modules["numpy.random"].seed()
    threading.main_thread()._set_native_id()
    if _context:
        return _context.rehearse()
    sitecustomize._install()
    begin(_usual)
    module = types.ModuleType("rehearsal")
    exec(compile("x = [str(i) for i in range(3)]\nprint(*x)\n", "rehearsal", "exec"), module.__dict__)
    sys.modules["rehearsal"] = module
    del module
    sys.stdout.flush()
    end()
    _let_go("rehearsal")
    sys.modules["__main__"] = module = types.ModuleType("__main__")
    module.__dict__.update(_main, __annotations__={})
    return True


def _adopt(environ):
    """Makes os.environ, and the C library's environment, what the program is to have."""
    for name in [name for name in os.environ if name not in environ]:
        del os.environ[name]
    for name, value in environ.items():
        if os.environ.get(name) != value:
            os.environ[name] = value


def begin(told):
    """The program has come: told is what libretort-forkserver says of it."""
    count, *texts = told.split(b"\0")
    count = int(count)
    texts = [os.fsdecode(text) for text in texts[:-1]]
    if _context:
        _adopt(dict(text.partition("=")[::2] for text in texts[count:]))
        _context.begin()  # and never returns
    if texts[:count] != sys.argv:
        sys.argv[:] = texts[:count]
        sys.orig_argv[2:] = sys.argv
        _set_file(os.path.join(os.getcwd(), sys.argv[0]))
    environ = dict(text.partition("=")[::2] for text in texts[count:])
    if environ.pop("PYTHONPATH", None) is not None:  # led to sitecustomize, for an interpreter that starts
        os.unsetenv("PYTHONPATH")
    _adopt(environ)
    try:
        os.lseek(0, 0, os.SEEK_CUR)
    except OSError:  # sys.stdin was made for something that can be sought in
        sys.stdin = sys.__stdin__ = open(0, encoding=sys.stdin.encoding, errors=sys.stdin.errors, closefd=False)
    return os.fsencode(_main["__file__"])


def exit_code(error):
    """The exit code of a SystemExit; what is not a number is printed, as Python does."""
    code = error.code if isinstance(error, SystemExit) else 1
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(1 << 63) <= code < 1 << 63 else 0xFF
    try:
        print(code, file=sys.stderr, flush=True)
    except Exception:
        pass
    return 1


def _clear(module):
    """As _PyModule_Clear: names with one underscore first, then all but __builtins__."""
    names = module.__dict__
    for name in list(names):
        if name.startswith("_") and not name.startswith("__"):
            names[name] = None
    for name in list(names):
        if name != "__builtins__":
            names[name] = None


def _let_go(first):
    """Takes the program's modules away, as the interpreter does when it ends, so that what they hold is finalized."""
    alive = []
    name = None
    while name != first and len(sys.modules) >= _n_modules:
        name = next(reversed(sys.modules))
        module = sys.modules.pop(name)
        if isinstance(module, types.ModuleType):
            alive.append(weakref.ref(module))
        del module
    gc.collect()
    left = [module for module in (reference() for reference in alive) if module is not None]
    for module in left:
        _clear(module)
    if left:
        gc.collect()


def end():
    """What a program can see of the interpreter's end before its streams are flushed."""
    if len(threading._active) > 1 or len(threading._shutdown_locks) != _n_thread_locks or len(threading._threading_atexits) != _n_thread_exits:
        threading._shutdown()
    if atexit._ncallbacks():
        atexit._run_exitfuncs()
    _preloaded_exits()
    return True


def let_go():
    """And what it can see after that."""
    _let_go("__main__")
    return True
