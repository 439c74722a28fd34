// SPDX-License-Identifier: Apache-2.0
// Signals that usually mean a limit, sent to oneself: a signal, and no limit was hit.
// expect: status=signal signal={}
// each: 9 11 15 24 31 6 34
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
int main(int argc, char **argv) {
        return argc > 1 ? kill(getpid(), atoi(argv[1])) : 0;
}
