// SPDX-License-Identifier: Apache-2.0
package retort.runner;

/** What ended a cell before its end, in the words that it is told with. */
final class Failure extends Exception {
    private static final long serialVersionUID = 1;

    /** Of done. */
    final String status;
    final String name;
    final String value;
    final String traceback;

    Failure(String status, String name, String value, String traceback) {
        super(value, null, false, false);
        this.status = status;
        this.name = name;
        this.value = value;
        this.traceback = traceback;
    }
}
