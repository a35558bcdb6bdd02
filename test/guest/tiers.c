/* Loops that get hot: integers, calls through pointers, a switch, recursion, doubles, strings, code that is rewritten. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static uint32_t seed = 1;

static uint32_t next(void) {
  seed = seed * 1664525 + 1013904223;
  return seed >> 8;
}

static int fib(int n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static void sort(int *a, int l, int r) {
  while (l < r) {
    int i = l, j = r, p = a[(l + r) / 2];
    while (i <= j) {
      while (a[i] < p) i++;
      while (a[j] > p) j--;
      if (i <= j) {
        int t = a[i];
        a[i++] = a[j];
        a[j--] = t;
      }
    }
    if (j - l < r - i) {
      sort(a, l, j);
      l = i;
    } else {
      sort(a, i, r);
      r = j;
    }
  }
}

static uint64_t add(uint64_t a, uint64_t b) { return a + b; }
static uint64_t twist(uint64_t a, uint64_t b) { return (a << 7 | a >> 57) ^ b; }
static uint64_t (*volatile operations[])(uint64_t, uint64_t) = {add, twist};

static uint64_t machine(int steps) {
  uint64_t h = 1;
  for (int i = 0; i < steps; i++) {
    uint32_t s = next();
    switch (s & 7) {
      case 0: h += s; break;
      case 1: h ^= h >> 9; break;
      case 2: h *= 3; break;
      case 3: h = h / 7 + s; break;
      case 4: h = ~h; break;
      case 5: h -= (h & 1) ? 3 : s; break;
      case 6: h = operations[s >> 3 & 1](h, s); break;
      default: h = (h << 3) | (h >> 61);
    }
  }
  return h;
}

static double orbit(int steps) {
  double x = 1, y = 0, vx = 0, vy = 1;
  for (int i = 0; i < steps; i++) {
    double r = x * x + y * y;
    vx -= x / r * 0.001;
    vy -= y / r * 0.001;
    x += vx * 0.001;
    y += vy * 0.001;
  }
  return x + y;
}

/* mov eax, N; add eax, edi; ret: N changes while it is hot. */
static int rewritten(int rounds) {
  unsigned char *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  static const unsigned char text[] = {0xb8, 1, 0, 0, 0, 0x01, 0xf8, 0xc3};
  memcpy(code, text, sizeof text);
  int (*f)(int) = (int (*)(int))code;
  int sum = 0;
  for (int i = 0; i < rounds; i++) {
    if (i % 40000 == 39999) code[1]++;
    sum += f(i & 3);
  }
  munmap(code, 4096);
  return sum;
}

int main(void) {
  static int numbers[24000];
  static char text[3000];
  for (int i = 0; i < 24000; i++) numbers[i] = (int)next();
  sort(numbers, 0, 23999);
  uint64_t sum = 0;
  for (int i = 0; i < 24000; i++) sum = sum * 31 + (uint64_t)numbers[i];
  printf("%llx %d %llx\n", (unsigned long long)sum, fib(20), (unsigned long long)machine(100000));
  size_t length = 0;
  for (int i = 0; i < 200; i++) {
    memset(text, 'a' + i % 26, 2900);
    length += strlen(text) + (size_t)(strchr(text, 'q') != 0);
  }
  printf("%.17g %zu %d\n", orbit(40000), length, rewritten(124000));
  return 0;
}
