// Clocks that show whether this processor is free: each call takes about a tenth of a millisecond.
//
// An x86 core with a busy sibling (a hyperthread, or another guest's) decodes fewer instructions per
// cycle, so `nop`s come at half their rate; a chain of multiplications keeps its rate, which is the
// clock. The peak is that of independent multiply-adds of vectors.
#include <ctime>

namespace {
double now() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return double(t.tv_sec) + 1e-9 * double(t.tv_nsec);
}
}  // namespace

extern "C" {
// Cycles per second.
double cycles() {
  constexpr long count = 20000;
  unsigned long x = 1;
  const double begin = now();
  for (long i = 0; i < count; ++i)
    asm volatile("imul $3, %0, %0\n imul $3, %0, %0\n imul $3, %0, %0\n imul $3, %0, %0" : "+r"(x));
  return 3.0 * 4 * count / (now() - begin);  // each takes three cycles
}

// Instructions without effect per second.
double nops() {
  constexpr long count = 4000;
  const double begin = now();
  for (long i = 0; i < count; ++i) asm volatile(".rept 120\n nop\n .endr");
  return 120.0 * count / (now() - begin);
}

// Multiply-adds of float32 per second.
double peak() {
#ifdef __AVX512F__
  constexpr int bytes = 64;
#else
  constexpr int bytes = 32;
#endif
  typedef float V __attribute__((vector_size(bytes)));
  constexpr long count = 20000;
  constexpr int chains = 12;
  V sum[chains] = {}, x = {}, y = {};
  asm volatile("" : "+v"(x), "+v"(y));
  const double begin = now();
  for (long i = 0; i < count; ++i)
#pragma GCC unroll 12
    for (int k = 0; k < chains; ++k) {
      sum[k] += x * y;
      asm volatile("" : "+v"(sum[k]));
    }
  return double(count) * chains * (bytes / 4) / (now() - begin);
}
}
