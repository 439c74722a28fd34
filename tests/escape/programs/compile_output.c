// SPDX-License-Identifier: Apache-2.0
// A compiler that talks for ever: macros that warn at every level.
// expect: status=output_limit step=compile limit=output_bytes how=read
// words: --compile-limit output=64K
// within: 25
#define A _Pragma("message \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"")
#define B A A A A A A A A A A
#define C B B B B B B B B B B
#define D C C C C C C C C C C
D D D
int main(void) {
        return 0;
}
