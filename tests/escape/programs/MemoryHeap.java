// SPDX-License-Identifier: Apache-2.0
// The JVM keeps its heap below the limit and says so itself: an uncaught error with a name.
// expect: status=nonzero exit=1 error=java.lang.OutOfMemoryError
// limits: memory=256M wall=15s
// within: 40
import java.util.ArrayList;

public class MemoryHeap {
    public static void main(String[] args) {
        ArrayList<byte[]> all = new ArrayList<>();
        while (true)
            all.add(new byte[1 << 20]);
    }
}
