// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.awt.image.RenderedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.reflect.Array;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import javax.imageio.ImageIO;
import retort.Rich;

/** What values look like. Calls what programs define: only on their own threads. */
final class Show {
    private static final int ITEM_MAX = 32 << 20;
    private static final int DEPTH_MAX = 100;

    private Show() {
    }

    /** MIME types and what goes with them, as the protocol has it. */
    static Map<String, Object> data(Object value) throws IOException {
        Map<String, Object> data = new LinkedHashMap<>();
        if (value instanceof Rich) {
            Map<String, ?> bundle = ((Rich) value).bundle();
            if (bundle != null) {
                for (Map.Entry<String, ?> entry : bundle.entrySet()) {
                    data.put(entry.getKey(), inType(entry.getKey(), entry.getValue()));
                }
            }
        } else if (value instanceof RenderedImage) {
            data.put("image/png", base64(png((RenderedImage) value)));
            data.put("text/plain", text(value));
        }
        if (data.isEmpty()) {
            data.put("text/plain", text(value));
        }
        return data;
    }

    private static Object inType(String mime, Object value) throws IOException {
        if (value == null) {
            throw new IllegalArgumentException(mime + ": null");
        } else if (mime.equals("application/json") || mime.endsWith("+json")) {
            return inJson(mime, value);
        } else if (value instanceof byte[]) {
            byte[] bytes = (byte[]) value;
            return mime.startsWith("text/") || mime.endsWith("+xml") ? new String(bytes, StandardCharsets.UTF_8) : base64(bytes);
        } else if (mime.equals("image/png") && value instanceof RenderedImage) {
            return base64(png((RenderedImage) value));
        }
        return value.toString();
    }

    private static Object inJson(String mime, Object value) {
        try {
            // What is no JSON is not so before it is in a message.
            return Json.read(value instanceof CharSequence ? value.toString() : Json.write(value));
        } catch (Json.Bad e) {
            throw new IllegalArgumentException(mime + ": no JSON: " + e.getMessage());
        }
    }

    private static String base64(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }

    private static byte[] png(RenderedImage image) throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        ImageIO.setUseCache(false);
        if (!ImageIO.write(image, "png", out)) {
            throw new IOException("this image cannot be made a PNG");
        }
        return out.toByteArray();
    }

    /** Texts as they are; arrays as JShell shows them; anything else says so itself. */
    static String text(Object value) {
        if (value instanceof CharSequence) {
            return value.toString() + "";
        } else if (value == null || !value.getClass().isArray()) {
            return Places.expunge(String.valueOf(value) + "");
        }
        StringBuilder out = new StringBuilder();
        array(out, value, 0);
        return Places.expunge(out.toString());
    }

    private static void array(StringBuilder out, Object array, int depth) {
        int length = Array.getLength(array);
        String type = array.getClass().getComponentType().getTypeName();
        int inner = type.indexOf('[');
        String element = inner < 0 ? type : type.substring(0, inner);
        out.append(element.substring(Math.max(element.lastIndexOf('.'), element.lastIndexOf('$')) + 1)).append('[').append(length).append(']');
        out.append(inner < 0 ? "" : type.substring(inner)).append(" { ");
        for (int i = 0; i < length; i++) {
            Object one = Array.get(array, i);
            out.append(i == 0 ? "" : ", ");
            if (one instanceof String) {
                out.append('"').append(one).append('"');
            } else if (one instanceof Character) {
                out.append('\'').append(one).append('\'');
            } else if (one != null && one.getClass().isArray() && depth < DEPTH_MAX) {
                array(out, one, depth + 1);
            } else {
                out.append(one);
            }
        }
        out.append(" }");
    }

    /** The message; or, where it is too long, one that says so. */
    static String item(long id, Map<String, Object> data, boolean main) {
        String json = Json.write(message(id, data, main));
        if (json.length() <= ITEM_MAX && (json.length() <= ITEM_MAX / 3 || json.getBytes(StandardCharsets.UTF_8).length <= ITEM_MAX)) {
            return json;
        }
        String largest = "";
        int size = -1;
        for (Map.Entry<String, Object> entry : data.entrySet()) {
            int length = entry.getValue() instanceof String ? ((String) entry.getValue()).length() : Json.write(entry.getValue()).length();
            if (length > size) {
                size = length;
                largest = entry.getKey();
            }
        }
        String note = "[" + largest + " of " + size + " characters was left out: an item has at most " + ITEM_MAX + " bytes]";
        return Json.write(message(id, Map.of("text/plain", note), main));
    }

    private static Map<String, Object> message(long id, Map<String, Object> data, boolean main) {
        Map<String, Object> message = new LinkedHashMap<>();
        message.put("type", "item");
        message.put("id", id);
        message.put("data", data);
        message.put("main", main);
        return message;
    }
}
