/* Arguments, environment and the auxiliary vector. */
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    printf("argc %d\n", argc);
    for (int i = 1; i < argc; i++) printf("argv[%d] = [%s]\n", i, argv[i]);
    printf("argv[argc] null: %d\n", argv[argc] == NULL);
    printf("GUEST_VAR=%s\n", getenv("GUEST_VAR") ? getenv("GUEST_VAR") : "(unset)");
    printf("pagesz %lu clktck %lu secure %lu\n", getauxval(AT_PAGESZ), getauxval(AT_CLKTCK), getauxval(AT_SECURE));
    printf("uid matches %d gid matches %d\n", getauxval(AT_UID) == getuid(), getauxval(AT_GID) == getgid());
    printf("platform %s\n", (char *)getauxval(AT_PLATFORM));
    printf("random %d phdr %d phent %lu entry %d\n", getauxval(AT_RANDOM) != 0, getauxval(AT_PHDR) != 0,
           getauxval(AT_PHENT), getauxval(AT_ENTRY) != 0);
    const char *execfn = (char *)getauxval(AT_EXECFN);
    printf("execfn ends with name: %d\n", strstr(execfn, "args_env") != NULL);
    printf("stack alignment %lu\n", (unsigned long)environ % 8);
    /* The strings lie above the vectors, in order. */
    printf("order %d\n", (char *)argv < argv[0] && (argc < 2 || argv[0] < argv[1]) && argv[0] < environ[0]);
    return 0;
}
