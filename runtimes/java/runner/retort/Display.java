// SPDX-License-Identifier: Apache-2.0
package retort;

import java.awt.image.RenderedImage;
import java.util.Map;
import java.util.function.Consumer;

/**
 * Shows things: {@code html("<b>bold</b>")}. Every cell has these names, by {@code import static retort.Display.*}. A thread that shows
 * something while no cell runs shows nothing.
 */
public final class Display {
    private static volatile Consumer<Object> shower = value -> { };

    private Display() {
    }

    /** As the value of a last expression would be: text, or an image, or what a {@link Rich} value says. */
    public static void display(Object value) {
        shower.accept(value);
    }

    /** In a type of one's own: {@code display("application/vnd.vegalite.v5+json", Map.of("mark", "bar"))}. */
    public static void display(String mime, Object data) {
        java.util.Objects.requireNonNull(mime);
        java.util.Objects.requireNonNull(data);
        shower.accept((Rich) () -> Map.of(mime, data));
    }

    public static void html(String html) {
        display("text/html", html);
    }

    public static void markdown(String markdown) {
        display("text/markdown", markdown);
    }

    public static void latex(String latex) {
        display("text/latex", latex);
    }

    public static void svg(String svg) {
        display("image/svg+xml", svg);
    }

    public static void png(byte[] png) {
        display("image/png", png);
    }

    public static void png(RenderedImage image) {
        display((Object) image);
    }

    public static void jpeg(byte[] jpeg) {
        display("image/jpeg", jpeg);
    }

    /** Maps, lists, arrays, records, numbers, texts, null. A String is JSON already. */
    public static void json(Object json) {
        display("application/json", json);
    }

    /** A chart as data. */
    public static void chart(Map<String, ?> chart) {
        display("application/vnd.retort.chart+json", chart);
    }

    /** A table by its columns. */
    public static void data(Map<String, ?> columns) {
        display("application/vnd.retort.data+json", columns);
    }
}
