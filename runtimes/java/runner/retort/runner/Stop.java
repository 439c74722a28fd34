// SPDX-License-Identifier: Apache-2.0
package retort.runner;

/**
 * Thrown out of a cell that is to stop. No ThreadDeath: two of those in a row may leave one behind in the JVM (17) that never comes out
 * and lets no later one in.
 */
final class Stop extends Error {
    private static final long serialVersionUID = 1;
    static final Stop STOP = new Stop();

    private Stop() {
        super("the cell was stopped", null, false, false);
    }
}
