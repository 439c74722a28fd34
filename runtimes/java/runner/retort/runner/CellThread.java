// SPDX-License-Identifier: Apache-2.0
package retort.runner;

import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Callable;

/**
 * The thread that cells run on: always the same one, called main, and nothing of ours is below a cell on its stack. It does one thing
 * after the other for another thread, which waits.
 *
 * <p>It can be stopped (as by Thread.stop, up to Java 19; later it can only be interrupted), which throws a Stop out of whatever it
 * does. That may come late: the thread has left the cell, or says so just now. So it is asked to stop only while its state is RUNNING,
 * and before it is IDLE again it has made a call in which one that is still on its way arrives.
 */
final class CellThread {
    /** What something came to. */
    static final class Outcome {
        final Object value;
        final Throwable thrown;

        Outcome(Object value, Throwable thrown) {
            this.value = value;
            this.thrown = thrown;
        }
    }

    private enum State { IDLE, RUNNING, OVER }

    /** Milliseconds until a program that has not ended is stopped again, and the children that it may be waiting for are ended. */
    private static final int PATIENCE = 400;
    private static final int AGAIN = 100;
    private static final long BURST_NS = 10_000_000;
    private static final int START_FIELD = 19; // in /proc/PID/stat, behind the name
    private static final long TICK_NS = 10_000_000;
    private static final ThreadDeath EXIT = new ThreadDeath(); // the one that the JVM passes on from a shutdown hook
    private static final StackTraceElement[] NOWHERE = {};
    private static final MethodHandle CALL;
    private static final MethodHandle STOP; // null: this JVM cannot

    static {
        MethodHandle stop = null;
        try {
            CALL = MethodHandles.lookup().findVirtual(Callable.class, "call", MethodType.methodType(Object.class));
            if (Runtime.version().feature() < 20) {
                stop = Native.TRUSTED.findVirtual(Thread.class, "stop0", MethodType.methodType(void.class, Object.class));
            }
        } catch (ReflectiveOperationException e) {
            throw new ExceptionInInitializerError(e);
        }
        STOP = stop;
    }

    private final Thread thread;
    private State state = State.IDLE;
    private MethodHandle work;
    private Object value; // what came of it
    private Throwable thrown;
    private boolean stopped; // it was asked to, in what it does now
    private StackTraceElement[] where; // it was then

    private long cell; // that it works for; 0: none
    private long begun; // System.nanoTime()
    private boolean interrupted;
    private long lastInterrupted; // perhaps before it began here
    private Integer exitCode;

    CellThread(ClassLoader loader) throws ReflectiveOperationException, IOException {
        MethodHandles.Lookup hidden;
        try (InputStream code = CellThread.class.getResourceAsStream("CellThread$Loop.class")) {
            hidden = MethodHandles.lookup().defineHiddenClass(code.readAllBytes(), true);
        }
        this.thread = (Thread) hidden.lookupClass().getDeclaredConstructor(CellThread.class).newInstance(this);
        thread.setContextClassLoader(loader);
        thread.start();
    }

    // ---- the thread's own side ----

    /** Defined as a hidden class, whose frames no stack trace shows. */
    static final class Loop extends Thread {
        private final CellThread control;

        Loop(CellThread control) {
            super(null, null, "main", 0, false);
            this.control = control;
        }

        @Override
        public void run() {
            for (;;) {
                try {
                    for (;;) {
                        MethodHandle work = control.next();
                        Object value = null;
                        Throwable thrown = null;
                        try {
                            value = (Object) work.invokeExact();
                        } catch (Throwable t) {
                            thrown = t;
                        }
                        control.over(value, thrown);
                    }
                } catch (Throwable late) {
                    // One that was to stop a cell, and came when that had ended. Where we were next() knows.
                }
            }
        }
    }

    /** Waits for what is to be done; but first ends in order whatever was left. */
    MethodHandle next() throws InterruptedException {
        synchronized (this) {
            if (state == State.RUNNING) {
                over(null, Stop.STOP);
            }
        }
        if (stopped) {
            Thread.sleep(1); // what is on its way arrives
            stopped = false;
        }
        synchronized (this) {
            Thread.interrupted();
            state = State.IDLE;
            work = null;
            notifyAll();
            while (work == null) {
                wait();
            }
            return work;
        }
    }

    /** Needs no memory. */
    synchronized void over(Object value, Throwable thrown) {
        this.value = value;
        this.thrown = thrown;
        state = State.OVER;
    }

    // ---- the side of whoever has it do something ----

    synchronized void begin(long number) {
        cell = number;
        begun = System.nanoTime();
        interrupted = number == lastInterrupted;
        exitCode = null;
        where = NOWHERE;
    }

    synchronized void end() {
        cell = 0;
    }

    synchronized boolean isInterrupted() {
        return interrupted;
    }

    /** Where it was when it was stopped. */
    synchronized StackTraceElement[] where() {
        return where;
    }

    /** That the program asked to end with; null: it did not. */
    synchronized Integer exitCode() {
        return exitCode;
    }

    /** Has it done there, and waits until it is over: by itself, or stopped. */
    synchronized Outcome run(MethodHandle todo) {
        await();
        work = todo;
        state = State.RUNNING;
        notifyAll();
        await();
        Outcome outcome = Memory.insist(() -> new Outcome(value, thrown));
        value = null;
        thrown = null;
        return outcome;
    }

    Outcome run(Callable<?> todo) {
        return run(CALL.bindTo(todo));
    }

    private void await() {
        for (int patience = PATIENCE; state != State.IDLE;) {
            boolean stopping = stopped;
            try {
                wait(stopping ? patience : 0);
            } catch (InterruptedException e) {
                // Whoever interrupts us does not know what he does.
            }
            if (stopping && state == State.RUNNING) {
                patience = AGAIN;
                endChildren();
                burst();
            }
        }
    }

    /** What catches everything, in a loop, may be hit while it handles the one before. */
    private void burst() {
        long now = System.nanoTime();
        for (long until = now + BURST_NS; now < until && state == State.RUNNING; now = System.nanoTime()) {
            stop();
            long next = now + (now & 0xffff); // up to 65 us, at random enough
            while (System.nanoTime() < next) {
                Thread.onSpinWait();
            }
        }
    }

    private void endChildren() {
        ProcessHandle.current().children().filter(this::isOfCell).forEach(ProcessHandle::destroy);
    }

    /** ProcessHandle tells when a process began with a second's error. */
    private boolean isOfCell(ProcessHandle child) {
        try {
            String status = Files.readString(Path.of("/proc", Long.toString(child.pid()), "stat"));
            String[] fields = status.substring(status.lastIndexOf(')') + 2).split(" ");
            return Long.parseLong(fields[START_FIELD]) >= begun / TICK_NS;
        } catch (IOException | RuntimeException e) {
            return false; // it has gone
        }
    }

    private StackTraceElement[] stack() {
        try {
            return thread.getStackTrace();
        } catch (OutOfMemoryError e) {
            return NOWHERE;
        }
    }

    private void stop() {
        if (state != State.RUNNING) {
            return;
        }
        if (!stopped) {
            where = stack();
        }
        stopped = true;
        try {
            if (STOP != null) {
                STOP.invokeExact(thread, (Object) Stop.STOP);
                return;
            }
        } catch (Throwable e) {
            // Then this remains.
        }
        thread.interrupt();
    }

    // ---- the side of all others ----

    /** Stops that cell: what runs of it now, and before anything more of it runs isInterrupted() says so. */
    synchronized void interrupt(long number) {
        lastInterrupted = number;
        if (number == cell && number != 0) {
            interrupted = true;
            notifyAll(); // whoever waits looks again from time to time from now on
            stop();
        }
    }

    /** The program asks to end. Does not return. */
    void exit(int code) {
        synchronized (this) {
            if (cell != 0) {
                exitCode = exitCode == null ? Integer.valueOf(code) : exitCode;
                notifyAll();
                stopped = state == State.RUNNING;
                if (Thread.currentThread() != thread) {
                    stop();
                }
            }
        }
        throw EXIT; // of that thread alone, where no cell runs
    }
}
