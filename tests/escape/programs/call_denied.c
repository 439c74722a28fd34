// SPDX-License-Identifier: Apache-2.0
// Calls that no honest program makes in a box: the first one ends the run, and the outcome names it.
// expect: status=denied limit=syscall how={}
// limits: wall=5s
// each: mount umount2 pivot_root chroot unshare setns bpf keyctl add_key request_key kexec_load kexec_file_load
// each: init_module finit_module delete_module reboot swapon swapoff settimeofday clock_settime sethostname
// each: setdomainname open_by_handle_at acct quotactl process_vm_readv process_vm_writev pidfd_getfd open_tree
// each: move_mount fsopen fsmount fspick mount_setattr vhangup
// never: survived
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#define CALL(name) { #name, SYS_##name }
static const struct {
        const char *name;
        long number;
} calls[] = { CALL(mount), CALL(umount2), CALL(pivot_root), CALL(chroot), CALL(unshare), CALL(setns), CALL(bpf), CALL(keyctl),
              CALL(add_key), CALL(request_key), CALL(kexec_load), CALL(kexec_file_load), CALL(init_module),
              CALL(finit_module), CALL(delete_module), CALL(reboot), CALL(swapon), CALL(swapoff), CALL(settimeofday),
              CALL(clock_settime), CALL(sethostname), CALL(setdomainname), CALL(open_by_handle_at), CALL(acct),
              CALL(quotactl), CALL(process_vm_readv), CALL(process_vm_writev), CALL(pidfd_getfd), CALL(open_tree),
              CALL(move_mount), CALL(fsopen), CALL(fsmount), CALL(fspick), CALL(mount_setattr), CALL(vhangup) };
int main(int argc, char **argv) {
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
                if (argc > 1 && strcmp(calls[i].name, argv[1]) == 0)
                        syscall(calls[i].number, 0, 0, 0, 0, 0);
        printf("survived\n");
        return 0;
}
