// SPDX-License-Identifier: Apache-2.0
// Code that would run inside javac: an annotation processor named in the arguments, from a file of the request.
// expect: status=ok exit=0
// words: --compile-arg=-processor --compile-arg=CompileProcessor --compile-arg=-processorpath --compile-arg=.
// says: only the run step
// within: 40
public class CompileProcessor {
    static {
        System.err.println(System.getProperty("sun.java.command", "").contains("Main")
            ? "open: ran inside javac" : "only the run step");
    }

    public static void main(String[] args) {
    }
}
