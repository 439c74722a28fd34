// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.function.BooleanSupplier;

/** System.in: whoever reads it asks for a line. Closing it changes nothing, for it is also the next cell's. */
final class Input extends InputStream {
    private final BooleanSupplier ask; // false: there is nobody to ask
    private byte[] line = new byte[0];
    private int used;
    private int asked; // lines that are on their way
    private boolean ended; // for this cell

    Input(BooleanSupplier ask) {
        this.ask = ask;
    }

    // ---- the side of the runner ----

    /** text null: there are no more lines. */
    synchronized void answer(String text) {
        if (asked > 0) {
            asked--;
            if (text == null) {
                ended = true;
            } else {
                byte[] left = new byte[line.length - used];
                System.arraycopy(line, used, left, 0, left.length);
                byte[] more = (text + "\n").getBytes(StandardCharsets.UTF_8);
                line = new byte[left.length + more.length];
                System.arraycopy(left, 0, line, 0, left.length);
                System.arraycopy(more, 0, line, left.length, more.length);
                used = 0;
            }
        }
        notifyAll();
    }

    synchronized void begin() {
        asked = 0;
        ended = false;
    }

    /** Whoever still waits is told that there is no more. */
    synchronized void end() {
        asked = 0;
        ended = true;
        notifyAll();
    }

    // ---- the side of programs ----

    /** As a terminal's, this is no wait that a thread can be interrupted in. */
    private boolean await() {
        boolean interrupted = false;
        while (used == line.length && !ended) {
            if (asked == 0) {
                asked = 1;
                if (!ask.getAsBoolean()) {
                    asked = 0;
                    return false;
                }
            }
            try {
                wait();
            } catch (InterruptedException e) {
                interrupted = true;
            }
        }
        if (interrupted) {
            Thread.currentThread().interrupt();
        }
        return used < line.length;
    }

    @Override
    public synchronized int read() {
        return await() ? line[used++] & 255 : -1;
    }

    /** Never more than there is: readers take what they get. */
    @Override
    public synchronized int read(byte[] to, int from, int size) {
        java.util.Objects.checkFromIndexSize(from, size, to.length);
        if (size == 0) {
            return 0;
        } else if (!await()) {
            return -1;
        }
        int n = Math.min(size, line.length - used);
        System.arraycopy(line, used, to, from, n);
        used += n;
        return n;
    }

    @Override
    public synchronized int available() {
        return line.length - used;
    }
}
