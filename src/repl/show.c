/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "base/util.h"
#include "cli/out.h"
#include "repl/repl.h"

#define RED "\x1b[31m"
#define DIM "\x1b[2m"
#define PLAIN "\x1b[0m"

static void put(struct rt_repl *repl, int fd, const char *colour, const char *text, size_t size) {
        if (size == 0)
                return;
        bool coloured = *colour && repl->cli->colour && repl->terminal;
        if (coloured)
                (void)rt_out_write(fd, colour, strlen(colour));
        (void)rt_out_write(fd, text, size);
        if (coloured)
                (void)rt_out_write(fd, PLAIN, strlen(PLAIN));
        repl->mid_line = text[size - 1] != '\n';
}

static void new_line(struct rt_repl *repl) {
        if (repl->mid_line)
                put(repl, repl->cli->out, "", "\n", 1);
}

static void put_line(struct rt_repl *repl, int fd, const char *colour, const char *text) {
        put(repl, fd, colour, text, strlen(text));
        if (repl->mid_line)
                put(repl, fd, "", "\n", 1);
}

static void show_item(struct rt_repl *repl, const struct retort_item *item) {
        const char *words = item->text ? item->text : item->markdown ? item->markdown : item->latex ? item->latex : item->json;
        new_line(repl);
        if (item->png || item->jpeg)
                rt_images_show(repl, item->png ? "png" : "jpeg", item->png ? item->png : item->jpeg);
        else if (item->svg)
                rt_images_save_text(repl, "svg", item->svg, strlen(item->svg));
        else if (words)
                put_line(repl, repl->cli->out, "", words);
        else if (item->html)
                rt_images_save_text(repl, "html", item->html, strlen(item->html));
        for (size_t i = 0; i < item->n_extra && !words; i++)
                put_line(repl, repl->cli->out, DIM, item->extra[i].mime);
}

void rt_repl_event(const struct retort_event *event, void *userdata) {
        struct rt_repl *repl = userdata;
        switch (event->type) {
        case RETORT_EVENT_STDOUT:
                put(repl, repl->cli->out, "", event->data.data, event->data.size);
                break;
        case RETORT_EVENT_STDERR:
                put(repl, repl->cli->err, RED, event->data.data, event->data.size);
                break;
        case RETORT_EVENT_ITEM:
                show_item(repl, event->item);
                break;
        case RETORT_EVENT_ERROR:
                new_line(repl);
                put_line(repl, repl->cli->err, RED, event->error->traceback[0] ? event->error->traceback : event->error->value);
                break;
        default:
                break;
        }
}

void rt_repl_outcome(struct rt_repl *repl, const struct retort_outcome *o) {
        rt_auto_buf struct rt_buf line = RT_BUF(1024);
        new_line(repl);
        repl->failed |= o->status != RETORT_OK;
        if (o->limit.name)
                (void)rt_buf_printf(&line, "[%s: %s is %llu]\n", retort_status_name(o->status), o->limit.name, (unsigned long long)o->limit.value);
        else if (o->exit_code > 0 && !o->error.name)
                (void)rt_buf_printf(&line, "[exit code %d]\n", o->exit_code);
        else if (o->status != RETORT_OK && !o->error.name)
                (void)rt_buf_printf(&line, "[%s]\n", retort_status_name(o->status));
        if (line.size)
                put(repl, repl->cli->err, DIM, line.data, line.size);
}
