// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.util.function.Supplier;

/** A program may fill the heap, in the middle of whatever we do; it may also empty it again. */
final class Memory {
    /** Given back when the heap is full, so that what must be done can be, and the next cell compiled. */
    private static final int RESERVE = 8 << 20;
    private static final int PLENTY = 4 * RESERVE;
    private static final int TRIES = 50;
    private static final int PAUSE_MS = 100;
    private static final int EXIT_FULL = 1;
    private static byte[] reserve;
    private static boolean wasFull;

    private Memory() {
    }

    /** Where there is plenty. First before all else: later the JVM would look for room for it in all that there is. */
    static void setAside() {
        if (reserve == null && wasFull && room() < PLENTY) {
            System.gc(); // what filled it may have been let go
        }
        if (reserve == null && room() >= PLENTY) {
            reserve = new byte[RESERVE];
            wasFull = false;
        }
    }

    private static long room() {
        Runtime runtime = Runtime.getRuntime();
        return runtime.maxMemory() - runtime.totalMemory() + runtime.freeMemory();
    }

    static void giveBack() {
        reserve = null;
        wasFull = true;
    }

    /** Does what can be done again from its beginning until there is memory for it. There is none for long: the process ends. */
    static <T> T insist(Supplier<T> what) {
        for (int i = 0; i < TRIES; i++) {
            try {
                return what.get();
            } catch (OutOfMemoryError e) {
                giveBack();
                try {
                    Thread.sleep(PAUSE_MS);
                } catch (InterruptedException ignored) {
                    // Then sooner.
                }
            }
        }
        Runtime.getRuntime().halt(EXIT_FULL);
        return null;
    }

    static void insist(Runnable what) {
        insist(() -> {
            what.run();
            return null;
        });
    }
}
