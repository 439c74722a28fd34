// SPDX-License-Identifier: Apache-2.0
// Files of the host by way of the compiler's messages.
// expect: status=compile_error step=compile exit=1
// says: shadow
#include "/etc/shadow"
#include "/work/../root/.ssh/id_rsa"
#include "/proc/1/environ"
int main(void) {
        return 0;
}
