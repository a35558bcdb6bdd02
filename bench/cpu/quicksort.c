/* Branches nobody can predict: quicksort of random ints. Work: millions of ints. */
#include "work.h"
#include <stdint.h>

static void insertion_sort(int *a, long n) {
  for (long i = 1; i < n; i++) {
    int value = a[i];
    long j = i;
    for (; j > 0 && a[j - 1] > value; j--) a[j] = a[j - 1];
    a[j] = value;
  }
}

static void quicksort(int *a, long n) {
  while (n > 16) {
    int pivot = a[n / 2];
    long i = 0, j = n - 1;
    while (i <= j) {
      while (a[i] < pivot) i++;
      while (a[j] > pivot) j--;
      if (i > j) break;
      int other = a[i];
      a[i++] = a[j];
      a[j--] = other;
    }
    quicksort(a, j + 1);
    a += i;
    n -= i;
  }
  insertion_sort(a, n);
}

int main(int argc, char **argv) {
  long n = amount_of_work(argc, argv, 20) * 1000000;
  int *a = malloc(n * sizeof *a);
  if (a == 0) return 1;
  uint32_t state = 1;
  for (long i = 0; i < n; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    a[i] = (int)state;
  }
  quicksort(a, n);
  uint32_t sum = 0;
  for (long i = 0; i < n; i++) {
    if (i > 0 && a[i - 1] > a[i]) return 1;
    sum = sum * 31 + (uint32_t)a[i];
  }
  printf("%08x\n", sum);
  return 0;
}
