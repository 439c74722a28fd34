// SPDX-License-Identifier: Apache-2.0
// expect: status=process_limit limit=processes how=pids
// limits: processes=60 wall=15s
// within: 40
public class ThreadBomb {
    public static void main(String[] args) {
        while (true) {
            try {
                new Thread(() -> { while (true) try { Thread.sleep(100000); } catch (InterruptedException e) { } }).start();
            } catch (Throwable e) { }
        }
    }
}
