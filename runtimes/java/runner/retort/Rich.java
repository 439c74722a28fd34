// SPDX-License-Identifier: Apache-2.0
package retort;

import java.util.Map;

/** A value that says itself what it looks like; {@link Display#display(Object)} and a cell's last expression ask it. */
public interface Rich {
    /** MIME types, and what the value is in each: text; byte[] for images; anything that JSON can say for JSON. */
    Map<String, ?> bundle();
}
