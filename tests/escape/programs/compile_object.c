// SPDX-License-Identifier: Apache-2.0
// Four gigabytes of object file out of thirty bytes of text.
// expect: status=compile_error step=compile
// within: 40
int a[1 << 30] = { 1 };
int main(void) {
        return a[0];
}
