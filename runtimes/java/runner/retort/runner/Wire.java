// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.io.FileInputStream;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Frames: four bytes, the length of what follows; then one JSON object. */
final class Wire {
    private static final int FRAME_MAX = 64 << 20;
    private static final int CHUNK = 64 << 10;
    private static final int MARK_BYTES = 20;

    final String mark;
    private final long chunk = Native.UNSAFE.allocateMemory(CHUNK);
    private long got;
    private long used;

    Wire() throws IOException {
        byte[] random = new byte[MARK_BYTES];
        try (FileInputStream in = new FileInputStream("/dev/urandom")) {
            in.readNBytes(random, 0, MARK_BYTES);
        }
        this.mark = "<retort-" + new BigInteger(1, random).toString(16) + ">";
        byte[] bytes = this.mark.getBytes(StandardCharsets.US_ASCII);
        int error = Native.begin(Native.memory(bytes, bytes.length), bytes.length);
        if (error != 0) {
            throw new IOException("descriptor 3 is no protocol: error " + error);
        }
    }

    // ---- in; by one thread ----

    private boolean read(byte[] to, int size) {
        for (int at = 0; at < size; ) {
            if (used == got) {
                used = 0;
                got = Native.hear(chunk, CHUNK);
                if (got <= 0) {
                    got = 0;
                    return false;
                }
            }
            int n = (int) Math.min(size - at, got - used);
            Native.copy(chunk + used, to, at, n);
            at += n;
            used += n;
        }
        return true;
    }

    /** The next message; null: there will be none. */
    @SuppressWarnings("unchecked")
    Map<String, Object> receive() throws Json.Bad {
        byte[] head = new byte[4];
        if (!read(head, 4)) {
            return null;
        }
        int size = ByteBuffer.wrap(head).getInt();
        if (size < 0 || size > FRAME_MAX) {
            throw new Json.Bad("a frame that is too long", 0);
        }
        byte[] body = Memory.insist(() -> new byte[size]);
        if (!read(body, size)) {
            return null;
        }
        Object message = Memory.insist(() -> parse(body));
        if (message instanceof Json.Bad) {
            throw (Json.Bad) message;
        } else if (!(message instanceof Map) || !(((Map<?, ?>) message).get("type") instanceof String)) {
            throw new Json.Bad("a message without a type", 0);
        }
        return (Map<String, Object>) message;
    }

    private static Object parse(byte[] body) {
        try {
            return Json.read(StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT).decode(ByteBuffer.wrap(body)).toString());
        } catch (CharacterCodingException e) {
            return new Json.Bad("a frame that is not UTF-8", 0);
        } catch (Json.Bad e) {
            return e;
        }
    }

    // ---- out; by any ----

    private static byte[] frame(String json) {
        byte[] body = json.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(4 + body.length).putInt(body.length).put(body).array();
    }

    /** As one step: a thread that is stopped has sent it or has not. Whether somebody is there. */
    private static boolean say(byte[] frame, boolean marked) {
        long at = Native.memory(frame, frame.length);
        try {
            return Native.say(at, frame.length, marked ? 1 : 0) != 0;
        } finally {
            Native.UNSAFE.freeMemory(at);
        }
    }

    boolean send(Map<String, Object> message) {
        return say(frame(Json.write(message)), false);
    }

    /** With the mark before it. */
    boolean sendItem(String json) {
        return say(frame(json), true);
    }
}
