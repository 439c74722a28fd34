// SPDX-License-Identifier: Apache-2.0
//
// Tells Retort what ended a C++ program. Linked into it, this puts itself before the usual terminate handler, writes
// {"name", "value", "traceback"} to descriptor 3 when an exception was not caught, and then lets the usual one say
// "terminate called after throwing..." and abort. A handler that the program sets itself takes our place.
//
// No header is included: what is needed is declared here, so that compiling this along costs little. The declarations
// are those of the C++ ABI and of libc, which do not change.
using size_t = decltype(sizeof 0);

extern "C" {
long write(int, const void *, size_t);
int getpid();
long lseek(int, long, int);
int *__errno_location();
void free(void *);
}

namespace std {
class type_info;
class exception {
public:
        virtual ~exception() noexcept;
        virtual const char *what() const noexcept;
};
using terminate_handler = void (*)();
terminate_handler set_terminate(terminate_handler) noexcept;
} // namespace std

namespace __cxxabiv1 {
extern "C" std::type_info *__cxa_current_exception_type() noexcept;
extern "C" char *__cxa_demangle(const char *, char *, size_t *, int *);
} // namespace __cxxabiv1

namespace {

// std::type_info as the ABI lays it out; naming the class itself would need <typeinfo>.
struct type_layout {
        void *vtable;
        const char *name;
};

constexpr int report_fd = 3;
constexpr size_t value_max = 16 * 1024; // bytes: a report is at most 256 KiB, and JSON may write one byte as six

std::terminate_handler usual;
int owner;

// A report in the making: nothing is allocated, the heap may be what is broken.
struct report {
        char text[6 * (value_max + 512) + 64];
        size_t size = 0;

        void add(const char *words) {
                while (*words)
                        text[size++] = *words++;
        }

        void quote(const char *words, size_t most) {
                static const char digits[] = "0123456789abcdef";
                text[size++] = '"';
                for (; *words && most; words++, most--) {
                        auto byte = static_cast<unsigned char>(*words);
                        if (byte == '"' || byte == '\\') {
                                text[size++] = '\\';
                                text[size++] = *words;
                        } else if (byte < ' ') {
                                add("\\u00");
                                text[size++] = digits[byte >> 4];
                                text[size++] = digits[byte & 15];
                        } else {
                                text[size++] = *words;
                        }
                }
                // A character cut in two would make the whole report unreadable.
                if (*words)
                        while (size && (static_cast<unsigned char>(text[size - 1]) & 0xc0) == 0x80)
                                size--;
                if (*words && size && static_cast<unsigned char>(text[size - 1]) >= 0xc0)
                        size--;
                text[size++] = '"';
        }
};

report the_report;

void send(const char *name, const char *value) {
        the_report.add("{\"name\": ");
        the_report.quote(name, 512);
        the_report.add(", \"value\": ");
        the_report.quote(value, value_max);
        the_report.add(", \"traceback\": \"\"}");
        for (size_t sent = 0; sent < the_report.size;) {
                long n = write(report_fd, the_report.text + sent, the_report.size - sent);
                if (n <= 0)
                        return;
                sent += static_cast<size_t>(n);
        }
}

void describe(std::type_info *type) {
        const char *mangled = reinterpret_cast<type_layout *>(type)->name;
        if (*mangled == '*') // a type that is not unique across libraries is marked so
                mangled++;
        int failed = 0;
        char *name = __cxxabiv1::__cxa_demangle(mangled, nullptr, nullptr, &failed);
        const char *shown = failed ? mangled : name;
        try {
                throw;
        } catch (const std::exception &e) {
                send(shown, e.what());
        } catch (const char *words) {
                send(shown, words ? words : "");
        } catch (...) {
                send(shown, "");
        }
        free(name);
}

[[noreturn]] void on_terminate() {
        static bool entered; // what() may throw in turn: then there is no report
        std::type_info *type = __cxxabiv1::__cxa_current_exception_type();
        if (type && !entered && getpid() == owner) {
                entered = true;
                describe(type);
        }
        usual();
        __builtin_trap();
}

// Is descriptor 3 a pipe or socket from outside, and not a file or nothing at all?
bool wanted() {
        constexpr int from_here = 1, not_seekable = 29; // SEEK_CUR, ESPIPE
        return lseek(report_fd, 0, from_here) < 0 && *__errno_location() == not_seekable;
}

__attribute__((constructor)) void install() {
        if (!wanted())
                return;
        owner = getpid();
        usual = std::set_terminate(on_terminate);
}

} // namespace
