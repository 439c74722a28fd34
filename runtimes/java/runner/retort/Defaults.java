// SPDX-License-Identifier: Apache-2.0
package retort;

/**
 * Nothing. JShell's import of all its members stands for the imports that each cell begins with: they are one snippet, which goes by the
 * name of its first, and no program imports this one again.
 */
public final class Defaults {
    private Defaults() {
    }
}
