// SPDX-License-Identifier: Apache-2.0
// IPC of every kind, never removed; the runner looks for it on the host.
// expect: status=ok exit=0
// says: done
// limits: wall=8s
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
int main(void) {
        for (int i = 1; i <= 20; i++) {
                (void)shmget(0x7000 + i, 4096, IPC_CREAT | 0666);
                (void)msgget(0x7000 + i, IPC_CREAT | 0666);
                (void)semget(0x7000 + i, 3, IPC_CREAT | 0666);
        }
        (void)mq_open("/guest-queue", O_CREAT | O_RDWR, 0666, (struct mq_attr *)0);
        (void)sem_open("/guest-semaphore", O_CREAT, 0666, 1);
        (void)shm_open("/guest-memory", O_CREAT | O_RDWR, 0666);
        struct sockaddr_un name = { .sun_family = AF_UNIX };
        memcpy(name.sun_path, "\0guest-abstract", 15);
        (void)bind(socket(AF_UNIX, SOCK_STREAM, 0), (struct sockaddr *)&name, sizeof(sa_family_t) + 15);
        for (int i = 0; i < 100000; i++) { /* until the kernel has enough of it */
                timer_t timer;
                struct sigevent event = { .sigev_notify = SIGEV_NONE };
                if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0)
                        break;
        }
        printf("done\n");
        return 0;
}
