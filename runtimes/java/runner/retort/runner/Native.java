// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.lang.invoke.MethodHandles;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;

/** What runner.c does, and what is the JVM's own: memory, and a look-up that may see everything. */
final class Native {
    static final sun.misc.Unsafe UNSAFE;
    static final MethodHandles.Lookup TRUSTED;
    private static final long BYTES = sun.misc.Unsafe.ARRAY_BYTE_BASE_OFFSET;

    static {
        try {
            Field field = sun.misc.Unsafe.class.getDeclaredField("theUnsafe");
            field.setAccessible(true);
            UNSAFE = (sun.misc.Unsafe) field.get(null);
            TRUSTED = (MethodHandles.Lookup) readStatic(MethodHandles.Lookup.class, "IMPL_LOOKUP");
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
    }

    private Native() {
    }

    static native int begin(long mark, long size);

    static native long hear(long at, long size);

    static native int say(long at, long size, int marked);

    static native int enter(long path);

    static native int setenv(long name, long value);

    static native void expect(long cell);

    static native void rest();

    static native long await();

    @SuppressWarnings("deprecation")
    private static Object readStatic(Class<?> type, String name) throws ReflectiveOperationException {
        Field field = type.getDeclaredField(name);
        return UNSAFE.getObject(UNSAFE.staticFieldBase(field), UNSAFE.staticFieldOffset(field));
    }

    /** A field that is final. */
    @SuppressWarnings("deprecation")
    static void write(Object object, Class<?> type, String name, Object value) throws ReflectiveOperationException {
        UNSAFE.putObject(object, UNSAFE.objectFieldOffset(type.getDeclaredField(name)), value);
    }

    @SuppressWarnings("deprecation")
    static void writeStatic(Class<?> type, String name, Object value) throws ReflectiveOperationException {
        Field field = type.getDeclaredField(name);
        UNSAFE.putObject(UNSAFE.staticFieldBase(field), UNSAFE.staticFieldOffset(field), value);
    }

    /** Memory for that many bytes, with these at its beginning. Whoever asks frees it. */
    static long memory(byte[] bytes, long size) {
        long at = UNSAFE.allocateMemory(size);
        UNSAFE.copyMemory(bytes, BYTES, null, at, bytes.length);
        return at;
    }

    static void copy(long from, byte[] to, int at, int size) {
        UNSAFE.copyMemory(null, from, to, BYTES + at, size);
    }

    /** As C has texts; null is no address. */
    private static long text(String text) {
        byte[] bytes = text == null ? null : (text + "\0").getBytes(StandardCharsets.UTF_8);
        return bytes == null ? 0 : memory(bytes, bytes.length);
    }

    static int changeDirectory(String path) {
        long at = text(path);
        try {
            return enter(at);
        } finally {
            UNSAFE.freeMemory(at);
        }
    }

    static void changeVariable(String name, String value) {
        long at = text(name);
        long valueAt = text(value);
        try {
            setenv(at, valueAt);
        } finally {
            UNSAFE.freeMemory(at);
            UNSAFE.freeMemory(valueAt);
        }
    }
}
