// SPDX-License-Identifier: Apache-2.0
// `program` is a link to the shell: a program like any other, in the same box.
// expect: status=ok exit=0
// words: --compile-arg=-wrapper --compile-arg=bash,helpers/wrapper.sh,symlink
// files: wrapper.sh
int main(void) {
        return 3;
}
