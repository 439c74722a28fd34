// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodType;

/** Who ends the JVM, and with which code: a hook is not told, but it stands on the stack. */
final class ExitCode {
    private static final MethodHandle LOCALS;
    private static final StackWalker WALKER;

    static {
        MethodHandle locals = null;
        StackWalker walker = null;
        try {
            Class<?> live = Class.forName("java.lang.LiveStackFrame");
            locals = Native.TRUSTED.findVirtual(live, "getLocals", MethodType.methodType(Object[].class))
                    .asType(MethodType.methodType(Object[].class, StackWalker.StackFrame.class));
            walker = (StackWalker) Native.TRUSTED.findStatic(live, "getStackWalker", MethodType.methodType(StackWalker.class)).invoke();
        } catch (Throwable e) {
            walker = null;
        }
        LOCALS = locals;
        WALKER = walker;
    }

    private ExitCode() {
    }

    /** null: it is no program that asks, or it cannot be told. */
    static Integer ofCaller() {
        if (WALKER == null) {
            return null;
        }
        Integer[] code = new Integer[1];
        boolean asked = WALKER.walk(frames -> frames.anyMatch(frame -> {
            if (frame.getClassName().equals("java.lang.Shutdown") && frame.getMethodName().equals("exit")) {
                code[0] = first(frame);
            }
            return frame.getClassName().equals("java.lang.Runtime") && frame.getMethodName().equals("exit");
        }));
        return asked ? code[0] : null;
    }

    /** The int that is a frame's first local variable. */
    private static Integer first(StackWalker.StackFrame frame) {
        try {
            Object slot = ((Object[]) LOCALS.invokeExact(frame))[0];
            String of = slot.toString(); // of a class that is the JVM's own: a number, and nothing else
            return (int) Long.parseLong(of);
        } catch (Throwable e) {
            return null;
        }
    }
}
