/* SPDX-License-Identifier: Apache-2.0
 *
 * The frozen Python's main function. Loaded into the host's own, unmodified python3 with LD_PRELOAD, it takes the place
 * of the interpreter's main(): it warms up (warm.py), opens the path at which libretort-forkserver freezes and forks the
 * process, and in each fork runs one program as `python3 main.py` does. It is in C so that nothing of ours stands on the
 * Python stack below the program, and so that the interpreter's end, which takes 20 ms with pandas loaded, can be cut
 * short after everything that a program can see of it: threads, atexit, __del__, flushing, the exit code.
 *
 * Of Python's C interface only functions are used that take and give pointers and numbers, found by name: no header, no
 * version. An interpreter that lacks one is not frozen.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <wchar.h>

#define PARK "/retort/park"
#define GO "/retort/go"

enum { FILE_INPUT = 257, MAX_SCRIPT = 1 << 20, MAX_PROGRAM = 8 << 20, WORDS_FD = 30, CODE_FLUSH_FAILED = 120, MAX_SEEDS = 4, SEED_BYTES = 624 * 4, LARGE = 1 << 20, SETTLINGS = 100, STACK_BYTES = 256 << 10 };

/* name, result, parameters */
#define PYTHON(X)                                                                                                      \
        X(Py_DecodeLocale, wchar_t *, (const char *, size_t *))                                                        \
        X(Py_SetProgramName, void, (const wchar_t *))                                                                  \
        X(Py_InitializeEx, void, (int))                                                                                \
        X(PySys_SetArgvEx, void, (int, wchar_t **, int))                                                               \
        X(PyImport_AddModule, void *, (const char *))                                                                  \
        X(PyModule_GetDict, void *, (void *))                                                                          \
        X(PyModule_New, void *, (const char *))                                                                        \
        X(PyDict_GetItemString, void *, (void *, const char *))                                                        \
        X(PyDict_SetItemString, int, (void *, const char *, void *))                                                   \
        X(PyEval_GetBuiltins, void *, (void))                                                                          \
        X(Py_CompileString, void *, (const char *, const char *, int))                                                 \
        X(PyEval_EvalCode, void *, (void *, void *, void *))                                                           \
        X(PyRun_FileExFlags, void *, (FILE *, const char *, int, void *, void *, int, void *))                         \
        X(PyObject_CallFunction, void *, (void *, const char *, ...))                                                  \
        X(PyObject_GetAttrString, void *, (void *, const char *))                                                      \
        X(PyBytes_FromStringAndSize, void *, (const char *, ssize_t))                                                  \
        X(PyBytes_AsString, const char *, (void *))                                                                    \
        X(PyBytes_Size, ssize_t, (void *))                                                                             \
        X(PyErr_Print, void, (void))                                                                                   \
        X(PyErr_PrintEx, void, (int))                                                                                  \
        X(PyErr_Clear, void, (void))                                                                                   \
        X(PyObject_CallMethod, void *, (void *, const char *, const char *, ...))                                      \
        X(PyObject_IsTrue, int, (void *))                                                                              \
        X(PySys_GetObject, void *, (const char *))                                                                     \
        X(PyErr_WriteUnraisable, void, (void *))                                                                       \
        X(PyErr_ExceptionMatches, int, (void *))                                                                       \
        X(PyErr_Fetch, void, (void **, void **, void **))                                                              \
        X(PyErr_NormalizeException, void, (void **, void **, void **))                                                 \
        X(PyLong_AsVoidPtr, void *, (void *))                                                                          \
        X(PyTuple_Size, ssize_t, (void *))                                                                             \
        X(PyTuple_GetItem, void *, (void *, ssize_t))                                                                  \
        X(PyLong_AsLong, long, (void *))                                                                               \
        X(Py_DecRef, void, (void *))

static struct {
#define X(name, result, parameters) result(*name) parameters;
        PYTHON(X)
#undef X
        int *Py_DontWriteBytecodeFlag;
        void **PyExc_SystemExit;
        void **PyExc_KeyboardInterrupt;
} py;

static int words = STDERR_FILENO; /* where people are told why there is no frozen Python */

static void give_up(const char *what) {
        (void)dprintf(words, "%s\n", what);
        _exit(1);
}

static void *symbol(const char *name) {
        void *found = dlsym(RTLD_DEFAULT, name);
        if (!found) {
                (void)dprintf(words, "this interpreter does not export %s\n", name);
                _exit(1);
        }
        return found;
}

static void find_python(void) {
#define X(name, result, parameters) *(void **)&py.name = symbol(#name);
        PYTHON(X)
#undef X
        *(void **)&py.Py_DontWriteBytecodeFlag = symbol("Py_DontWriteBytecodeFlag");
        *(void **)&py.PyExc_SystemExit = symbol("PyExc_SystemExit");
        *(void **)&py.PyExc_KeyboardInterrupt = symbol("PyExc_KeyboardInterrupt");
}

/* ---- warming up ---- */

/* Python looks at its descriptors when it makes sys.stdout and sys.stderr: they must be what a program will have, pipes.
 * *ret_read is what is read from to learn what was written. */
static void be_piped(int *ret_read) {
        int ends[2];
        words = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, WORDS_FD);
        if (words < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0 || dup2(ends[1], 1) < 0 || dup2(ends[1], 2) < 0)
                _exit(1);
        (void)close(ends[1]);
        (void)fcntl(1, F_SETFL, 0);
        *ret_read = ends[0];
}

static void tell_why(int read_end) {
        char text[4096];
        (void)fflush(NULL);
        ssize_t n = read(read_end, text, sizeof text);
        if (n > 0)
                (void)!write(words, text, (size_t)n);
        _exit(1);
}

static void *load_script(const char *path, int read_end) {
        static char text[MAX_SCRIPT];
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
        if (n < 0)
                give_up("cannot read the warm-up script");
        (void)close(fd);
        text[n] = 0;
        void *dict = py.PyModule_GetDict(py.PyModule_New("retort_warm"));
        py.PyDict_SetItemString(dict, "__builtins__", py.PyEval_GetBuiltins());
        void *code = py.Py_CompileString(text, path, FILE_INPUT);
        if (!code || !py.PyEval_EvalCode(code, dict, dict)) {
                py.PyErr_Print();
                tell_why(read_end);
        }
        return dict;
}

/* Where warm.py found state of random numbers. */
static struct {
        void *at[MAX_SEEDS];
        ssize_t n;
} seeds;

static void find_seeds(void *script) {
        void *found = py.PyDict_GetItemString(script, "_seeds");
        seeds.n = found ? py.PyTuple_Size(found) : 0;
        if (seeds.n > MAX_SEEDS)
                give_up("more places for random numbers than there is room for");
        for (ssize_t i = 0; i < seeds.n; i++)
                seeds.at[i] = py.PyLong_AsVoidPtr(py.PyTuple_GetItem(found, i));
}

static void seed(void) {
        for (ssize_t i = 0; i < seeds.n; i++)
                if (getrandom(seeds.at[i], SEED_BYTES, 0) != SEED_BYTES)
                        _exit(1);
}

/* ---- one program ---- */

static void *call(void *script, const char *function, const char *format, void *a, void *b) {
        void *result = py.PyObject_CallFunction(py.PyDict_GetItemString(script, function), format, a, b);
        if (!result)
                py.PyErr_Print();
        return result;
}

/* As Python's own handle_system_exit. */
static int code_of_system_exit(void *script) {
        void *kind, *value, *traceback;
        py.PyErr_Fetch(&kind, &value, &traceback);
        py.PyErr_NormalizeException(&kind, &value, &traceback);
        void *code = call(script, "exit_code", "(O)", value, NULL);
        return code ? (int)py.PyLong_AsLong(code) : 1;
}

static int run_file(void *script, const char *path, bool *ret_interrupted) {
        void *dict = py.PyModule_GetDict(py.PyImport_AddModule("__main__"));
        FILE *file = fopen(path, "rbe");
        if (!file) { /* as Python says it */
                (void)dprintf(STDERR_FILENO, "/usr/bin/python3: can't open file '%s': [Errno %d] %s\n", path, errno, strerror(errno));
                return 2;
        }
        if (py.PyRun_FileExFlags(file, path, FILE_INPUT, dict, dict, 1, NULL))
                return 0;
        if (py.PyErr_ExceptionMatches(*py.PyExc_SystemExit))
                return code_of_system_exit(script);
        *ret_interrupted = py.PyErr_ExceptionMatches(*py.PyExc_KeyboardInterrupt);
        py.PyErr_PrintEx(1);
        return 1;
}

/* As Python's own flush_std_files: false when what the program wrote to its stdout is lost. */
static bool flush(const char *name) {
        void *stream = py.PySys_GetObject(name);
        void *closed = stream ? py.PyObject_GetAttrString(stream, "closed") : NULL;
        bool open = closed && py.PyObject_IsTrue(closed) == 0;
        py.PyErr_Clear(); /* None, or something of the program's own */
        if (!open || py.PyObject_CallMethod(stream, "flush", NULL))
                return true;
        bool lost = strcmp(name, "stdout") == 0;
        if (lost)
                py.PyErr_WriteUnraisable(stream);
        else
                py.PyErr_Clear();
        return !lost;
}

static void run_program(void *script, const char *path) {
        bool interrupted = false;
        int code = run_file(script, path, &interrupted);
        (void)call(script, "end", "()", NULL, NULL);
        bool flushed = flush("stdout");
        (void)flush("stderr");
        (void)call(script, "let_go", "()", NULL, NULL);
        if (!flushed) {
                code = CODE_FLUSH_FAILED;
        } else { /* what finalizers wrote */
                (void)flush("stdout");
                (void)flush("stderr");
        }
        (void)fflush(NULL);
        if (interrupted) { /* so that whoever waits sees what happened */
                (void)signal(SIGINT, SIG_DFL);
                (void)kill(getpid(), SIGINT);
        }
        _exit(code);
}

/* The program, as one bytes object; where its file is. */
static void *read_program(int fd) {
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > MAX_PROGRAM)
                _exit(1);
        char *text = malloc((size_t)st.st_size);
        if (!text || read(fd, text, (size_t)st.st_size) != st.st_size)
                _exit(1);
        (void)close(fd);
        void *bytes = py.PyBytes_FromStringAndSize(text, st.st_size);
        free(text);
        return bytes;
}

/* What was rehearsed is there already: most programs have no arguments, and a stdin that can be sought in. */
static bool is_usual(void *script, void *told) {
        void *usual = py.PyDict_GetItemString(script, "_usual");
        ssize_t size = py.PyBytes_Size(told);
        return usual && py.PyBytes_Size(usual) == size && memcmp(py.PyBytes_AsString(usual), py.PyBytes_AsString(told), (size_t)size) == 0 &&
               lseek(0, 0, SEEK_CUR) >= 0;
}

/* What the allocator puts off until somebody wants much: each fork would write to free chunks all over the heap. */
static void settle_heap(void) {
        for (int i = 0; i < SETTLINGS; i++) { /* it looks at 10,000 chunks at once */
                void *volatile wanted = malloc(LARGE);
                free(wanted);
        }
}

static int frozen_main(int argc, char **argv, char **env) {
        int read_end;
        (void)env;
        find_python();
        be_piped(&read_end);
        (void)setlocale(LC_CTYPE, "");
        wchar_t *program = py.Py_DecodeLocale(argv[0], NULL);
        *py.Py_DontWriteBytecodeFlag = 1;
        py.Py_SetProgramName(program);
        py.Py_InitializeEx(1);
        py.PySys_SetArgvEx(1, &program, 0);
        if (argc < 3)
                give_up("needs the paths of the warm-up script and of the program, and modules");
        const char *path = argv[2];
        void *script = load_script(argv[1], read_end);
        for (int i = 3; i < argc; i++)
                if (!call(script, "preload", "(s)", argv[i], NULL))
                        tell_why(read_end);
        if (!call(script, "ready", "(s)", (void *)(uintptr_t)path, NULL))
                tell_why(read_end);
        find_seeds(script);
        settle_heap();
        (void)close(words);
        (void)close(read_end);

        int parked = open(PARK, O_RDONLY | O_CLOEXEC);
        if (parked < 0)
                _exit(1);
        (void)close(parked);
        /* Only guests come here. What the rehearsal touches is copied before anybody waits. */
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
        (void)dup2(null, 1);
        (void)dup2(null, 2);
        (void)close(null);
        seed();
        (void)call(script, "rehearse", "()", NULL, NULL);
        void *told = read_program(open(GO, O_RDONLY | O_CLOEXEC));
        (void)fcntl(3, F_SETFD, FD_CLOEXEC); /* for the report of an uncaught error: not for what the program starts */
        if (!is_usual(script, told)) {
                void *file = call(script, "begin", "(O)", told, NULL);
                path = file ? py.PyBytes_AsString(file) : NULL;
        }
        if (!path)
                _exit(1);
        py.Py_DecRef(told);
        run_program(script, path);
        return 0;
}

/* ---- copies of a context (session.py) ---- */

int retort_fork_away(void);

static void *back[5]; /* where the copy goes on */
static volatile pid_t copied;

static int fork_and_end(void *nothing) {
        (void)nothing;
        copied = fork();
        if (copied == 0)
                __builtin_longjmp(back, 1);
        _exit(0);
}

/* As fork(2), but for whose child the copy is: not ours. The process between them shares our memory until it has forked, so that
 * the page tables are copied once and not twice. */
__attribute__((visibility("default"), noinline)) int retort_fork_away(void) {
        static char stack[STACK_BYTES] __attribute__((aligned(16)));
        if (__builtin_setjmp(back))
                return 0;
        pid_t between = clone(fork_and_end, stack + sizeof stack, CLONE_VM | CLONE_VFORK, NULL);
        if (between < 0 || waitpid(between, NULL, __WALL) < 0)
                return -1;
        return copied;
}

/* The C library calls this with the interpreter's main; ours is put in its place. */
typedef int start_fn(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void), void (*)(void), void *);
__attribute__((visibility("default"))) start_fn __libc_start_main;

int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end) {
        start_fn *next;
        (void)main;
        *(void **)&next = dlsym(RTLD_NEXT, "__libc_start_main");
        return next(frozen_main, argc, argv, init, fini, rtld_fini, stack_end);
}
