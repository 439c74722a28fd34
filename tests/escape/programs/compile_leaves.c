// SPDX-License-Identifier: Apache-2.0
// The compile step leaves something else than a program: it cannot be started, which is the guest's doing and no fault
// of the host's.
// expect: status=compile_error step=run
// words: --compile-arg=-wrapper --compile-arg=bash,helpers/wrapper.sh,{}
// files: wrapper.sh
// each: fifo directory missing text loop script interpreter closed
int main(void) {
        return 0;
}
