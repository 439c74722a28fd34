/* SPDX-License-Identifier: Apache-2.0
 *
 * The result as a picture: a bar from the axis to the median, a line on to the 99th percentile, on a logarithmic axis. Text
 * and nothing else, so that it can be read in a browser, a README and a review; dark where the reader is.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "cli/bench.h"

enum { WIDTH = 860, LEFT = 210, RIGHT = 740, TOP = 96, ROW = 20, BAR = 12, TITLE = 28, GAP = 8 };

struct plot {
        struct rt_buf *out;
        double low, high; /* of the axis: powers of ten, in ms */
        int height;
};

static const char style[] =
        "<style>\n"
        "text { font: 12px system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif; fill: #1f2328 }\n"
        ".page { fill: #ffffff } .head { font-size: 16px; font-weight: 600 } .name { font-size: 13px; font-weight: 600 }\n"
        ".soft { fill: #59636e } .grid { stroke: #d1d9e0; stroke-width: 1 } .tail { stroke: #59636e; stroke-width: 1.5 }\n"
        ".plain { fill: #818b98 } .cold { fill: #3b7dd8 } .warm { fill: #2da44e } .same { fill: #a45bd0 } .output { opacity: .55 }\n"
        "@media (prefers-color-scheme: dark) {\n"
        "text { fill: #e6edf3 } .page { fill: #0d1117 } .soft { fill: #9198a1 } .grid { stroke: #30363d } .tail { stroke: #9198a1 }\n"
        ".plain { fill: #7d8590 } .cold { fill: #58a6ff } .warm { fill: #3fb950 } .same { fill: #bc8cff }\n"
        "}\n"
        "</style>\n";

static void escape(struct rt_buf *out, const char *text) {
        for (; *text; text++) {
                const char *as = *text == '&' ? "&amp;" : *text == '<' ? "&lt;" : *text == '>' ? "&gt;" : *text == '"' ? "&quot;" : NULL;
                if (as)
                        (void)rt_buf_add(out, as, strlen(as));
                else if ((unsigned char)*text >= ' ')
                        (void)rt_buf_add(out, text, 1);
        }
}

static double ms(uint64_t ns) {
        return (double)ns / 1e6;
}

static double x_of(const struct plot *p, double value) {
        double part = value <= p->low ? 0 : log10(value / p->low) / log10(p->high / p->low);
        return LEFT + part * (RIGHT - LEFT);
}

/* "0.31", "23.4", "1300": three figures. */
static void three_figures(double value, char ret[24]) {
        (void)snprintf(ret, 24, value < 1 ? "%.3f" : value < 10 ? "%.2f" : value < 100 ? "%.1f" : "%.0f", value);
}

/* The range of everything, and how high it all is. */
static void measure(struct plot *p, struct rt_bench *b) {
        double low = INFINITY, high = 0;
        struct rt_bench_row rows[RT_BENCH_ROWS];
        p->height = TOP;
        for (size_t i = 0; i < b->n; i++) {
                size_t n = rt_bench_rows(&b->languages[i], rows);
                p->height += n ? TITLE + (int)n * ROW + GAP : 0;
                for (size_t k = 0; k < n; k++) {
                        low = fmin(low, ms(rt_samples_at(rows[k].samples, 0.5)));
                        high = fmax(high, ms(rt_samples_at(rows[k].samples, 0.99)));
                }
        }
        p->height += 44;
        if (!(high > 0 && low > 0 && low <= high)) {
                low = 0.1;
                high = 1000;
        }
        /* A bar needs some length: the axis begins below the smallest. */
        p->low = pow(10, floor(log10(low * 0.8)));
        p->high = pow(10, ceil(log10(high)));
        if (p->high <= p->low)
                p->high = p->low * 10;
}

static void draw_text(struct rt_buf *out, double x, double y, const char *class, const char *anchor, const char *text) {
        (void)rt_buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" class=\"%s\" text-anchor=\"%s\">", x, y, class, anchor);
        escape(out, text);
        (void)rt_buf_printf(out, "</text>\n");
}

static void draw_head(struct plot *p, struct rt_bench *b) {
        char line[400], cpu[128];
        struct utsname host;
        const char *level = json_string_value(json_object_get(b->isolation, "level"));
        rt_bench_cpu_model(cpu, sizeof cpu);
        (void)uname(&host);
        (void)snprintf(line, sizeof line, "Retort %s: what a run of a hello program costs", RETORT_VERSION);
        draw_text(p->out, 16, 28, "head", "start", line);
        (void)snprintf(line, sizeof line, "%s, %u CPUs, Linux %.60s; isolation %s; load average %.2f before, %.2f after", cpu, rt_bench_cpus(),
                       host.release, level ? level : "unknown", b->load_before[0], b->load_after[0]);
        draw_text(p->out, 16, 48, "soft", "start", line);
}

static void draw_legend(struct plot *p) {
        static const char *const parts[][2] = { { "plain", "by hand" }, { "cold", "first run, nothing warm" }, { "warm", "warm engine" },
                                                { "same", "same source again" } };
        static const int widths[] = { 80, 170, 108, 150 };
        double x = 16;
        for (size_t i = 0; i < 4; i++) {
                (void)rt_buf_printf(p->out, "<rect x=\"%.0f\" y=\"62\" width=\"10\" height=\"10\" rx=\"2\" class=\"%s\"/>\n", x, parts[i][0]);
                draw_text(p->out, x + 15, 71, "soft", "start", parts[i][1]);
                x += widths[i];
        }
        draw_text(p->out, x, 71, "soft", "start", "bar: median; line: to p99; pale: first byte of output");
}

static void draw_axis(struct plot *p) {
        for (double at = p->low; at <= p->high * 1.001; at *= 10) {
                char label[24];
                (void)snprintf(label, sizeof label, "%g ms", at);
                (void)rt_buf_printf(p->out, "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" class=\"grid\"/>\n", x_of(p, at), TOP, x_of(p, at),
                                    p->height - 36);
                draw_text(p->out, x_of(p, at), p->height - 18, "soft", "middle", label);
        }
}

static void draw_row(struct plot *p, const struct rt_bench_row *row, double y) {
        double median = ms(rt_samples_at(row->samples, 0.5)), p99 = ms(rt_samples_at(row->samples, 0.99));
        char label[64], value[64], tail[24];
        if (!row->start)
                (void)snprintf(label, sizeof label, "%s", row->label);
        else
                (void)snprintf(label, sizeof label, "%s (%s): %s", row->label, row->start, row->until);
        three_figures(median, value);
        three_figures(p99, tail);
        (void)snprintf(value + strlen(value), sizeof value - strlen(value), " (p99 %s)", tail);
        draw_text(p->out, LEFT - 8, y + 10, "soft", "end", label);
        (void)rt_buf_printf(p->out, "<rect x=\"%d\" y=\"%.1f\" width=\"%.1f\" height=\"%d\" rx=\"2\" class=\"%s %s\"><title>", LEFT, y,
                            fmax(1, x_of(p, median) - LEFT), BAR, row->what, row->until);
        (void)rt_buf_printf(p->out, "median %.3f ms, p99 %.3f ms, %zu runs</title></rect>\n", median, p99, row->samples->n);
        if (x_of(p, p99) > x_of(p, median))
                (void)rt_buf_printf(p->out, "<path d=\"M%.1f %.1fH%.1fm0 -4v8\" fill=\"none\" class=\"tail\"/>\n", x_of(p, median), y + BAR / 2.0,
                                    x_of(p, p99));
        draw_text(p->out, x_of(p, p99) + 6, y + 10, "soft", "start", value);
}

void rt_bench_svg(struct rt_bench *b, struct rt_buf *out) {
        struct plot p = { .out = out };
        struct rt_bench_row rows[RT_BENCH_ROWS];
        measure(&p, b);
        (void)rt_buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\">\n%s", WIDTH, p.height,
                            WIDTH, p.height, style);
        (void)rt_buf_printf(out, "<rect width=\"%d\" height=\"%d\" class=\"page\"/>\n", WIDTH, p.height);
        draw_head(&p, b);
        draw_legend(&p);
        draw_axis(&p);
        double y = TOP;
        for (size_t i = 0; i < b->n; i++) {
                char title[160];
                size_t n = rt_bench_rows(&b->languages[i], rows);
                if (n == 0)
                        continue;
                (void)snprintf(title, sizeof title, "%.60s %.60s", b->languages[i].name, b->languages[i].version);
                draw_text(out, 16, y + 18, "name", "start", title);
                y += TITLE;
                for (size_t k = 0; k < n; k++, y += ROW)
                        draw_row(&p, &rows[k], y);
                y += GAP;
        }
        (void)rt_buf_printf(out, "</svg>\n");
}
