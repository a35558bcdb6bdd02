/* The vDSO: a valid ELF object at AT_SYSINFO_EHDR whose functions agree with the system calls, wherever it is. */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef int (*gettime_t)(clockid_t, struct timespec *);
typedef int (*timeofday_t)(struct timeval *, void *);
typedef time_t (*seconds_t)(time_t *);
typedef int (*getcpu_t)(unsigned *, unsigned *, void *);

static gettime_t v_gettime, v_getres;
static timeofday_t v_timeofday;
static seconds_t v_time;
static getcpu_t v_getcpu;

/* What the image's dynamic section tells. */
static struct {
  const char *strings;
  const Elf64_Sym *symbols;
  const uint32_t *hash, *gnu_hash;
  const uint16_t *versions;
  const Elf64_Verdef *definitions;
  int definition_count;
} dyn;

static const char *at(const char *base, Elf64_Addr value) { return base + value; }

static const char *open_image(const char *base, int show) {
  const Elf64_Ehdr *e = (const Elf64_Ehdr *)base;
  const Elf64_Phdr *p = (const Elf64_Phdr *)(base + e->e_phoff);
  const Elf64_Dyn *d = NULL;
  int loads = 0, frames = 0;
  for (int i = 0; i < e->e_phnum; i++) {
    if (p[i].p_type == PT_LOAD) loads += p[i].p_vaddr == 0 && p[i].p_flags == (PF_R | PF_X);
    if (p[i].p_type == PT_DYNAMIC) d = (const Elf64_Dyn *)(base + p[i].p_vaddr);
    if (p[i].p_type == PT_GNU_EH_FRAME) frames++;
  }
  if (show)
    printf("elf %d class %d data %d type %d machine %d loads %d frames %d sections %d\n",
           memcmp(base, ELFMAG, SELFMAG) == 0, e->e_ident[EI_CLASS], e->e_ident[EI_DATA], e->e_type, e->e_machine,
           loads, frames, e->e_shnum > 0 && e->e_shentsize == sizeof(Elf64_Shdr));
  memset(&dyn, 0, sizeof dyn);
  Elf64_Addr soname = 0;
  for (; d->d_tag != DT_NULL; d++) switch (d->d_tag) {
      case DT_STRTAB: dyn.strings = at(base, d->d_un.d_ptr); break;
      case DT_SYMTAB: dyn.symbols = (const void *)at(base, d->d_un.d_ptr); break;
      case DT_HASH: dyn.hash = (const void *)at(base, d->d_un.d_ptr); break;
      case DT_GNU_HASH: dyn.gnu_hash = (const void *)at(base, d->d_un.d_ptr); break;
      case DT_VERSYM: dyn.versions = (const void *)at(base, d->d_un.d_ptr); break;
      case DT_VERDEF: dyn.definitions = (const void *)at(base, d->d_un.d_ptr); break;
      case DT_VERDEFNUM: dyn.definition_count = d->d_un.d_val; break;
      case DT_SONAME: soname = d->d_un.d_val; break;
    }
  if (show) printf("soname %s\n", dyn.strings + soname);
  return base;
}

static const char *version_of(unsigned index) {
  const Elf64_Verdef *v = dyn.definitions;
  for (int i = 0; i < dyn.definition_count; i++) {
    if ((v->vd_ndx & 0x7fff) == (index & 0x7fff))
      return dyn.strings + ((const Elf64_Verdaux *)((const char *)v + v->vd_aux))->vda_name;
    v = (const Elf64_Verdef *)((const char *)v + v->vd_next);
  }
  return "none";
}

static unsigned gnu_hash(const char *s) {
  unsigned h = 5381;
  for (; *s; s++) h = h * 33 + (unsigned char)*s;
  return h;
}

static unsigned elf_hash(const char *s) {
  unsigned h = 0, g;
  for (; *s; s++) {
    h = (h << 4) + (unsigned char)*s;
    if ((g = h & 0xf0000000)) h ^= g >> 24;
    h &= ~g;
  }
  return h;
}

/* By the hash table that there is: newer kernels have only GNU's. */
static const Elf64_Sym *by_gnu_hash(const char *name) {
  const uint32_t *t = dyn.gnu_hash;
  uint32_t h = gnu_hash(name), buckets = t[0], first = t[1], words = t[2], shift = t[3];
  const uint64_t *bloom = (const uint64_t *)(t + 4);
  const uint32_t *bucket = (const uint32_t *)(bloom + words), *chain = bucket + buckets;
  uint64_t word = bloom[h / 64 % words];
  if (!(word >> (h % 64) & 1) || !(word >> ((h >> shift) % 64) & 1)) return NULL;
  for (uint32_t i = bucket[h % buckets]; i >= first; i++) {
    uint32_t entry = chain[i - first];
    if ((entry | 1) == (h | 1) && strcmp(dyn.strings + dyn.symbols[i].st_name, name) == 0) return &dyn.symbols[i];
    if (entry & 1) break;
  }
  return NULL;
}

static const Elf64_Sym *by_elf_hash(const char *name) {
  const uint32_t *t = dyn.hash;
  for (uint32_t i = t[2 + elf_hash(name) % t[0]]; i; i = t[2 + t[0] + i])
    if (strcmp(dyn.strings + dyn.symbols[i].st_name, name) == 0) return &dyn.symbols[i];
  return NULL;
}

static void *find(const char *base, const char *name, int show) {
  const Elf64_Sym *gnu = dyn.gnu_hash ? by_gnu_hash(name) : NULL, *elf = dyn.hash ? by_elf_hash(name) : gnu;
  const Elf64_Sym *s = dyn.gnu_hash ? gnu : elf;
  if (!s || (dyn.hash && elf != s)) {
    printf("%s: not found\n", name);
    exit(1);
  }
  if (show)
    printf("%s: type %d bind %d defined %d version %s\n", name, ELF64_ST_TYPE(s->st_info), ELF64_ST_BIND(s->st_info),
           s->st_shndx != SHN_UNDEF, version_of(dyn.versions[s - dyn.symbols]));
  return (void *)(base + s->st_value);
}

static void bind_all(const char *base, int show) {
  open_image(base, show);
  v_gettime = (gettime_t)find(base, "__vdso_clock_gettime", show);
  v_getres = (gettime_t)find(base, "__vdso_clock_getres", show);
  v_timeofday = (timeofday_t)find(base, "__vdso_gettimeofday", show);
  v_time = (seconds_t)find(base, "__vdso_time", show);
  v_getcpu = (getcpu_t)find(base, "__vdso_getcpu", show);
  if (show) printf("weak names %d\n", find(base, "clock_gettime", show) == (void *)v_gettime);
}

static int64_t ns(struct timespec t) { return t.tv_sec * 1000000000LL + t.tv_nsec; }

static int64_t asked(clockid_t clock) {
  struct timespec t;
  if (syscall(SYS_clock_gettime, clock, &t) != 0) return -1;
  return ns(t);
}

/* Each clock lies between two readings by system call; what is not answered there is answered by the call. */
static void compare_clocks(const char *where) {
  static const clockid_t clocks[] = {0, 1, 2, 3, 4, 5, 6, 7, 11};
  for (unsigned i = 0; i < sizeof clocks / sizeof *clocks; i++) {
    clockid_t clock = clocks[i];
    int good = 1;
    for (int n = 0; n < 50; n++) {
      struct timespec t = {-1, -1};
      int64_t before = asked(clock);
      int r = v_gettime(clock, &t);
      int64_t after = asked(clock);
      if (r != 0 || t.tv_nsec < 0 || t.tv_nsec > 999999999 || ns(t) < before || ns(t) > after) good = 0;
    }
    struct timespec a = {-1, -1}, b = {-2, -2};
    int ra = v_getres(clock, &a), rb = syscall(SYS_clock_getres, clock, &b);
    printf("%s clock %d: %d resolution %d %d\n", where, clock, good, ra == rb && v_getres(clock, NULL) == 0,
           ns(a) == ns(b));
  }
  struct timespec t;
  printf("%s bad clocks: %d %d %d\n", where, v_gettime(10, &t), v_gettime(12, &t), v_getres(77, &t));
  struct timeval v, before, after;
  struct timezone zone = {7, 7};
  syscall(SYS_gettimeofday, &before, NULL);
  int r = v_timeofday(&v, &zone);
  syscall(SYS_gettimeofday, &after, NULL);
  printf("%s gettimeofday %d %d %d %d\n", where, r, !timercmp(&v, &before, <) && !timercmp(&v, &after, >),
         zone.tz_minuteswest == 0 && zone.tz_dsttime == 0, v_timeofday(NULL, NULL));
  time_t first = syscall(SYS_time, NULL), stored = 0, second = v_time(&stored), third = v_time(NULL);
  printf("%s time %d %d\n", where, first <= second && second <= third && third <= first + 60, stored == second);
  unsigned cpu = 9999, node = 9999;
  r = v_getcpu(&cpu, &node, NULL);
  printf("%s getcpu %d %d %u %d\n", where, r, cpu < 1024, node, v_getcpu(NULL, NULL, NULL));
}

static atomic_llong latest;
static atomic_int backwards;

static void *reader(void *arg) {
  for (int i = 0; i < 20000; i++) {
    long long seen = atomic_load(&latest);
    struct timespec t;
    v_gettime(CLOCK_MONOTONIC, &t);
    long long now = ns(t);
    if (now < seen) backwards++;
    while (seen < now && !atomic_compare_exchange_weak(&latest, &seen, now));
  }
  return arg;
}

static void threads(void) {
  pthread_t t[4];
  for (int i = 0; i < 4; i++) pthread_create(&t[i], NULL, reader, NULL);
  for (int i = 0; i < 4; i++) pthread_join(t[i], NULL);
  printf("backwards over threads: %d\n", backwards);
}

struct range {
  uintptr_t start, end;
  char rights[8], name[32];
};

/* The lines of /proc/self/maps that the kernel made for the vDSO, in order. */
static int special_ranges(struct range *out, int limit) {
  FILE *f = fopen("/proc/self/maps", "r");
  char line[512];
  int n = 0;
  while (f && fgets(line, sizeof line, f)) {
    struct range r;
    if (sscanf(line, "%lx-%lx %7s %*s %*s %*s %31s", &r.start, &r.end, r.rights, r.name) != 4) continue;
    if (strncmp(r.name, "[vvar", 5) == 0 || strcmp(r.name, "[vdso]") == 0)
      if (n < limit) out[n++] = r;
  }
  fclose(f);
  return n;
}

static void rights_and_copies(const char *base) {
  struct range r[4];
  int n = special_ranges(r, 4);
  printf("maps: %s %s, %s %s at the image %d\n", r[0].name, r[0].rights, r[n - 1].name, r[n - 1].rights,
         r[n - 1].start == (uintptr_t)base);
  int refused = mprotect((void *)r[0].start, r[0].end - r[0].start, PROT_READ | PROT_WRITE);
  printf("vvar writable: %d %s\n", refused, refused ? strerror(errno) : "");
  /* Whole mappings only: Linux refuses to split them. */
  size_t size = r[n - 1].end - r[n - 1].start;
  int own = mprotect((void *)base, size, PROT_READ | PROT_WRITE);
  printf("vdso writable: %d\n", own);
  ((char *)base)[15] = 42; /* padding of e_ident */
  mprotect((void *)base, size, PROT_READ | PROT_EXEC);
  printf("own copy %d\n", base[15]);
  compare_clocks("changed");
}

static void move(const char *base) {
  struct range r[4];
  int n = special_ranges(r, 4);
  size_t total = r[n - 1].end - r[0].start;
  char *to = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (int i = 0; i < n; i++) {
    size_t size = r[i].end - r[i].start;
    void *moved = mremap((void *)r[i].start, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to + (r[i].start - r[0].start));
    if (moved == MAP_FAILED) printf("mremap of %s: %s\n", r[i].name, strerror(errno));
  }
  const char *image = to + ((uintptr_t)base - r[0].start);
  bind_all(image, 0);
  compare_clocks("moved");
  int m = special_ranges(r, 4);
  printf("maps after the move: same count %d, image %d\n", m == n, r[m - 1].start == (uintptr_t)image);
}

static void in_child(void (*what)(const char *), const char *base) {
  fflush(stdout);
  pid_t pid = fork();
  if (pid == 0) {
    what(base);
    fflush(stdout);
    _exit(0);
  }
  int status;
  waitpid(pid, &status, 0);
  printf("child %d\n", status);
}

static void child_compares(const char *base) {
  (void)base;
  compare_clocks("child");
}

/* For a machine with a virtual clock: waits for 5 ms by reading clocks, and tells what it read. */
static int poll_clock(const char *base) {
  bind_all(base, 0);
  struct timespec start, now, wall;
  int readings = 0;
  v_gettime(CLOCK_MONOTONIC, &start);
  do {
    v_gettime(CLOCK_MONOTONIC, &now);
    readings++;
  } while (ns(now) - ns(start) < 5000000);
  v_gettime(CLOCK_REALTIME, &wall);
  printf("%d readings from %lld to %lld, %lld\n", readings, (long long)ns(start), (long long)ns(now),
         (long long)ns(wall));
  return 0;
}

int main(int argc, char **argv) {
  const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
  if (argc > 1 && strcmp(argv[1], "poll") == 0) return poll_clock(base);
  printf("image %d aligned %d unchanged %d\n", base != NULL, (uintptr_t)base % 4096 == 0, base[15]);
  if (argc > 1 && strcmp(argv[1], "again") == 0) return 0;
  bind_all(base, 1);
  compare_clocks("here");
  threads();
  in_child(child_compares, base);
  in_child(rights_and_copies, base);
  in_child(move, base);
  fflush(stdout);
  execl("/proc/self/exe", argv[0], "again", (char *)NULL);
  return 1;
}
