/* SPDX-License-Identifier: Apache-2.0
 *
 * Images on a terminal: kitty's graphics protocol, iTerm2's inline images, or sixel; else a file whose name is told. Terminals are
 * known by the variables that they set; --images says otherwise.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef RT_HAVE_SIXEL
#include <sixel.h>
#endif

#include "base/fd.h"
#include "base/util.h"
#include "cli/out.h"
#include "repl/repl.h"

enum { PIECE = 4096, MAX_SAVED = 100000 };

enum rt_images rt_images_of_terminal(void) {
        const char *term = getenv("TERM"), *program = getenv("TERM_PROGRAM");
        term = term ? term : "";
        program = program ? program : "";
        if (getenv("KITTY_WINDOW_ID") || strstr(term, "kitty") || strstr(term, "ghostty") || strcmp(program, "ghostty") == 0)
                return RT_IMAGES_KITTY;
        if (strcmp(program, "iTerm.app") == 0 || strcmp(program, "WezTerm") == 0)
                return RT_IMAGES_ITERM;
        if (strstr(term, "sixel") || strncmp(term, "mlterm", 6) == 0 || strncmp(term, "foot", 4) == 0 || strncmp(term, "contour", 7) == 0)
                return RT_IMAGES_SIXEL;
        return RT_IMAGES_SAVE;
}

static int digit(char c) {
        static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        const char *at = c ? strchr(digits, c) : NULL;
        return at ? (int)(at - digits) : -1;
}

/* What base64 says; what is no digit of it is passed over. To be freed. */
static char *decode(const char *text, size_t *ret_size) {
        size_t n = 0;
        char *bytes = malloc(strlen(text) / 4 * 3 + 4);
        unsigned bits = 0, have = 0;
        for (; bytes && *text; text++) {
                int value = digit(*text);
                if (value < 0)
                        continue;
                bits = bits << 6 | (unsigned)value;
                have += 6;
                if (have >= 8)
                        bytes[n++] = (char)(bits >> (have -= 8));
        }
        *ret_size = n;
        return bytes;
}

static void show_kitty(struct rt_repl *repl, const char *base64) {
        size_t size = strlen(base64);
        for (size_t at = 0; at < size; at += PIECE) {
                rt_auto_buf struct rt_buf out = RT_BUF(2 * PIECE);
                size_t n = size - at < PIECE ? size - at : PIECE;
                (void)rt_buf_printf(&out, "\x1b_G%sm=%d;", at == 0 ? "a=T,f=100," : "", at + n < size);
                (void)rt_buf_add(&out, base64 + at, n);
                (void)rt_buf_printf(&out, "\x1b\\%s", at + n < size ? "" : "\n");
                (void)rt_out_flush(repl->cli->out, &out);
        }
}

static void show_iterm(struct rt_repl *repl, const char *base64) {
        static const char before[] = "\x1b]1337;File=inline=1:", after[] = "\a\n";
        (void)rt_out_write(repl->cli->out, before, sizeof before - 1);
        (void)rt_out_write(repl->cli->out, base64, strlen(base64));
        (void)rt_out_write(repl->cli->out, after, sizeof after - 1);
}

#ifdef RT_HAVE_SIXEL
static bool show_sixel(const char *bytes, size_t size) {
        char path[] = "/tmp/retort-XXXXXX";
        sixel_encoder_t *encoder = NULL;
        rt_auto_close int fd = mkostemp(path, O_CLOEXEC);
        bool good = fd >= 0 && rt_write_all(fd, bytes, size) == 0 && SIXEL_SUCCEEDED(sixel_encoder_new(&encoder, NULL)) &&
                    SIXEL_SUCCEEDED(sixel_encoder_encode(encoder, path));
        if (encoder)
                sixel_encoder_unref(encoder);
        if (fd >= 0)
                (void)unlink(path);
        return good;
}
#else
static bool show_sixel(const char *bytes, size_t size) {
        (void)bytes, (void)size;
        return false;
}
#endif

/* ---- files ---- */

static bool save(struct rt_repl *repl, const char *type, const char *bytes, size_t size, char path[4096]) {
        const char *folder = repl->opts->save ? repl->opts->save : ".";
        int fd = -1;
        while (fd < 0 && repl->n_saved < MAX_SAVED) { /* what is there already is somebody's */
                (void)snprintf(path, 4096, "%s/retort-%u.%s", folder, ++repl->n_saved, type);
                fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
                if (fd < 0 && access(path, F_OK) < 0)
                        return false;
        }
        bool good = fd >= 0 && rt_write_all(fd, bytes, size) == 0;
        (void)rt_close(fd);
        return good;
}

void rt_images_save_text(struct rt_repl *repl, const char *type, const char *text, size_t size) {
        char path[4096], line[4300];
        const char *folder = repl->opts->save ? repl->opts->save : "this directory";
        if (repl->images == RT_IMAGES_NONE)
                (void)snprintf(line, sizeof line, "[%s, %zu bytes]\n", type, size);
        else if (save(repl, type, text, size, path))
                (void)snprintf(line, sizeof line, "[%s: %s]\n", type, strncmp(path, "./", 2) == 0 ? path + 2 : path);
        else
                (void)snprintf(line, sizeof line, "[%s, %zu bytes; it could not be saved in %.4000s]\n", type, size, folder);
        (void)rt_out_write(repl->cli->out, line, strlen(line));
}

void rt_images_show(struct rt_repl *repl, const char *type, const char *base64) {
        if (repl->images == RT_IMAGES_KITTY && strcmp(type, "png") == 0) {
                show_kitty(repl, base64);
                return;
        }
        if (repl->images == RT_IMAGES_ITERM) {
                show_iterm(repl, base64);
                return;
        }
        size_t size = 0;
        rt_auto_free char *bytes = decode(base64, &size);
        if (bytes && !(repl->images == RT_IMAGES_SIXEL && show_sixel(bytes, size)))
                rt_images_save_text(repl, type, bytes, size);
}
