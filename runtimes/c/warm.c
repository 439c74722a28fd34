/* SPDX-License-Identifier: Apache-2.0
 *
 * What the compiler is rehearsed with before it is frozen: a bit of what programs have.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
        struct node *next;
        char name[16];
        double value;
};

static int compare(const void *a, const void *b) {
        return *(const int *)a - *(const int *)b;
}

static struct node *push(struct node *list, const char *name, double value) {
        struct node *made = malloc(sizeof *made);
        if (!made)
                return list;
        snprintf(made->name, sizeof made->name, "%s", name);
        made->value = value / 3;
        made->next = list;
        return made;
}

int main(int argc, char **argv) {
        int numbers[100], n = 0;
        struct node *list = NULL;
        for (int i = 0; i < 100; i++)
                numbers[n++] = (i * 37) % 101;
        qsort(numbers, n, sizeof *numbers, compare);
        for (int i = 0; i < argc; i++)
                list = push(list, argv[i], numbers[i % 100]);
        for (const struct node *at = list; at; at = at->next)
                printf("%s %.2f %zu\n", at->name, at->value, strlen(at->name));
        return 0;
}
