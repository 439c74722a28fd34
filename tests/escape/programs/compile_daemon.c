// SPDX-License-Identifier: Apache-2.0
// A daemon of the compile step swaps `program` until the run step: it must be dead before that begins. What it left
// last is what runs, in one piece.
// expect: status=ok exit=0
// words: --compile-arg=-wrapper --compile-arg=bash,helpers/wrapper.sh,watcher
// files: wrapper.sh
// says: alone
int main(void) {
        return 3; /* never what runs: that is the daemon's script, which looks whether the daemon lives */
}
