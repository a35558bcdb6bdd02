/*
 * What embedded-processor benchmarks mix: a linked list sorted and searched, small integer matrices, a state machine
 * over text, and checksums over it all. Work: hundreds of rounds.
 */
#include "work.h"
#include <stdint.h>
#include <string.h>

static uint16_t crc16(uint16_t crc, uint32_t data) {
  for (int i = 0; i < 32; i++) {
    int bit = (crc ^ data) & 1;
    crc = (uint16_t)(crc >> 1 ^ (bit ? 0xa001 : 0));
    data >>= 1;
  }
  return crc;
}

#define ITEMS 200
struct item {
  struct item *next;
  int16_t key, value;
};
static struct item items[ITEMS];

static struct item *merge(struct item *a, struct item *b) {
  struct item head, *tail = &head;
  while (a && b) {
    struct item **least = a->key <= b->key ? &a : &b;
    tail = tail->next = *least;
    *least = (*least)->next;
  }
  tail->next = a ? a : b;
  return head.next;
}

static struct item *sort(struct item *list) {
  if (!list || !list->next) return list;
  struct item *slow = list, *fast = list->next;
  while (fast && fast->next) {
    slow = slow->next;
    fast = fast->next->next;
  }
  struct item *second = slow->next;
  slow->next = 0;
  return merge(sort(list), sort(second));
}

static uint16_t list_part(uint16_t crc, int seed) {
  for (int i = 0; i < ITEMS; i++) {
    items[i].key = (int16_t)((i * 7919 + seed * 104729) & 0x3fff);
    items[i].value = (int16_t)i;
    items[i].next = i + 1 < ITEMS ? &items[i + 1] : 0;
  }
  struct item *list = sort(items);
  for (int wanted = 0; wanted < 20; wanted++) {
    const struct item *at = list;
    while (at && at->value != wanted * 10) at = at->next;
    crc = crc16(crc, at ? (uint32_t)at->key : 0);
  }
  return crc;
}

#define N 12
static uint16_t matrix_part(uint16_t crc, int seed) {
  static int16_t a[N][N], b[N][N];
  static int32_t c[N][N];
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      a[i][j] = (int16_t)(seed + i * j);
      b[i][j] = (int16_t)(seed ^ (i + j));
    }
  for (int i = 0; i < N; i++)
    for (int j = 0; j < N; j++) {
      int32_t sum = 0;
      for (int k = 0; k < N; k++) sum += a[i][k] * b[k][j];
      c[i][j] = sum >> 2 & 0xffff;
    }
  for (int i = 0; i < N; i++) crc = crc16(crc, (uint32_t)c[i][N - 1 - i]);
  return crc;
}

static const char TEXT[] = "5012,-874,+122,.7e9,35.54400,-110.7,T0.3e-1F,1T3.4e4z,0xff,12.e,1e+3,+-1,";

static uint16_t state_part(uint16_t crc, int seed) {
  enum { START, SIGN, INTEGER, FRACTION, EXPONENT, EXPONENT_SIGN, SCIENTIFIC, INVALID, STATES };
  uint32_t counts[STATES] = {0};
  int state = START;
  for (const char *p = TEXT + seed % 5; *p; p++) {
    char c = *p;
    int digit = c >= '0' && c <= '9', sign = c == '+' || c == '-';
    if (c == ',') {
      counts[state]++;
      state = START;
      continue;
    }
    switch (state) {
      case START: state = digit ? INTEGER : sign ? SIGN : c == '.' ? FRACTION : INVALID; break;
      case SIGN: state = digit ? INTEGER : c == '.' ? FRACTION : INVALID; break;
      case INTEGER: state = digit ? INTEGER : c == '.' ? FRACTION : c == 'e' ? EXPONENT : INVALID; break;
      case FRACTION: state = digit ? FRACTION : c == 'e' ? EXPONENT : INVALID; break;
      case EXPONENT: state = digit ? SCIENTIFIC : sign ? EXPONENT_SIGN : INVALID; break;
      case EXPONENT_SIGN: state = digit ? SCIENTIFIC : INVALID; break;
      case SCIENTIFIC: state = digit ? SCIENTIFIC : INVALID; break;
      default: break;
    }
  }
  for (int i = 0; i < STATES; i++) crc = crc16(crc, counts[i]);
  return crc;
}

int main(int argc, char **argv) {
  long hundreds = amount_of_work(argc, argv, 400);
  uint16_t crc = 0;
  for (long i = 0; i < hundreds * 100; i++) {
    int seed = (int)(i & 0xff);
    crc = list_part(crc, seed);
    for (int k = 0; k < 4; k++) crc = matrix_part(crc, seed + k);
    for (int k = 0; k < 4; k++) crc = state_part(crc, seed + k);
  }
  printf("%04x\n", crc);
  return 0;
}
