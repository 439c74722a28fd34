// SPDX-License-Identifier: Apache-2.0
// Templates that double for ever.
// expect: status=wall_limit step=compile limit=wall_ms how=monotonic
// words: --compile-limit memory=4G --compile-limit wall=2s --compile-arg=-ftemplate-depth=100000
// within: 25
template <int N, int M> struct bomb {
        static const int value = bomb<N - 1, 2 * M>::value + bomb<N - 1, 2 * M + 1>::value;
};
template <int M> struct bomb<0, M> {
        static const int value = M;
};
int main() {
        return bomb<28, 1>::value;
}
