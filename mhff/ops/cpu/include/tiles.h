// Products of float32 matrices in the tiles of Intel's server processors (AMX), which multiply
// bfloat16 and sum in float32.
//
// A float32 has 24 bits, so it is exactly the sum of three bfloat16 of 8 bits that are cut off one
// after the other. Six of the nine products of the parts of two numbers keep float32's accuracy:
// the other three are below 2^-24. Numbers below 1.2e-38 count as zero.
#pragma once
#include <algorithm>
#include <memory>
#include <new>

#include "vector.h"
#if defined(__AVX512BW__) && defined(__linux__) && __GNUC__ >= 11
#define MHFF_TILES 1
#include <cpuid.h>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace mhff {

#ifdef MHFF_TILES
struct Tiles {
  static constexpr bool exist = true;
  static constexpr int side = 32;  // a block has two tiles of 16 rows or columns
  static constexpr int parts = 3, tile = 16 * side, part = 2 * tile, block = parts * part;
  static constexpr int64_t rows_at_once = 256;  // their parts stay in L2

  // Whether this process may use tiles; the kernel is asked once for their state to be kept.
  static bool allowed() {
    static const bool yes = ask();
    return yes;
  }

  // bfloat16 numbers of a packed matrix [k, n]: blocks of `side` columns and, in them, of `side`
  // rows; in a block [part][2 tiles of 16 columns][16 pairs of rows][16 columns][2 rows].
  static constexpr int64_t packed_size(int64_t k, int64_t n) { return k * n * parts; }

  static void pack(const float* matrix, int64_t k, int64_t n, uint16_t* to) {
    for (int64_t column = 0; column < n; column += side)
      for (int64_t row = 0; row < k; row += side, to += block)
        for (int r = 0; r < side; ++r)
          for (int c = 0; c < side; ++c) {
            float rest = matrix[(row + r) * n + column + c];
            uint16_t* at = to + c / 16 * tile + r / 2 * side + c % 16 * 2 + r % 2;
            for (int i = 0; i < parts; ++i) at[i * part] = cut(rest);
          }
  }

  // out[i] = a[i] B for n_rows rows; strides are between rows.
  static void multiply(const float* a, int64_t a_stride, int64_t n_rows, const uint16_t* packed,
                       int64_t k, int64_t n, float* out, int64_t out_stride) {
    const Configured configured;
    alignas(64) float rest[side * side];
    uint16_t* parts_of_a = memory(rows_at_once * k * parts);
    for (int64_t begin = 0; begin < n_rows; begin += rows_at_once) {
      const int64_t count = std::min(rows_at_once, n_rows - begin);
      split(a + begin * a_stride, a_stride, count, k, parts_of_a);
      for (int64_t column = 0; column < n; column += side)
        for (int64_t first = 0; first < count; first += side) {
          const int64_t rows = std::min<int64_t>(side, count - first);
          const uint16_t* left = parts_of_a + first * k * parts;
          const uint16_t* right = packed + column * k * parts;
          float* to = out + (begin + first) * out_stride + column;
          if (rows == side) {
            sum<2>(left, right, k, to, out_stride);
            continue;
          }
          if (rows > 16)
            sum<2>(left, right, k, rest, side);
          else
            sum<1>(left, right, k, rest, side);
          for (int64_t i = 0; i < rows; ++i)
            std::memcpy(to + i * out_stride, rest + i * side, side * sizeof(float));
        }
    }
  }

 private:
  static bool ask() {
    constexpr long request_permission = 0x1023, tile_data = 18;  // of arch_prctl(2)
    constexpr unsigned bfloat16 = 1u << 22, tiles = 1u << 24;    // of CPUID leaf 7
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(d & bfloat16) || !(d & tiles)) return false;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
  }

  // Eight tiles of 16 rows of 64 bytes, until the end of a scope.
  struct Configured {
    Configured() {
      struct alignas(64) {
        uint8_t palette = 1, start = 0, reserved[14] = {};
        uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
        uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
      } layout;
      asm volatile("ldtilecfg %0" : : "m"(layout));
    }
    ~Configured() { asm volatile("tilerelease"); }
  };

  // The next 8 bits of a number, which are taken off it.
  static uint16_t cut(float& x) {
    uint32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    const uint32_t high = bits & 0xffff0000u;
    float taken;
    std::memcpy(&taken, &high, sizeof taken);
    x -= taken;
    return bits >> 16;
  }

  // A thread's memory for the parts of rows, kept for its next product.
  static uint16_t* memory(int64_t count) {
    constexpr std::align_val_t line{64};  // tiles across cache lines take three times as long
    struct Free {
      void operator()(void* p) const { ::operator delete(p, line); }
    };
    static thread_local std::unique_ptr<void, Free> kept;
    static thread_local int64_t size = 0;
    if (size < count) {
      kept.reset(::operator new(count * sizeof(uint16_t), line));
      size = count;
    }
    return static_cast<uint16_t*>(kept.get());
  }

  // Rows in parts: blocks [`side` rows][`side` of k][part][2 tiles of 16 rows][16][32 of k]; the
  // last block is filled up with zeros.
  static void split(const float* a, int64_t stride, int64_t n_rows, int64_t k, uint16_t* to) {
    const __m512i high = _mm512_set1_epi32(int(0xffff0000u));
    alignas(64) uint16_t odd[32];
    for (int i = 0; i < 32; ++i) odd[i] = 2 * i + 1;
    const __m512i upper_halves = _mm512_load_si512(odd);
    const auto take = [&](__m512 x) UNROLLED {
      return _mm512_sub_ps(x, _mm512_castsi512_ps(_mm512_and_si512(_mm512_castps_si512(x), high)));
    };
    for (int64_t row = 0; row < (n_rows + side - 1) / side * side; ++row) {
      uint16_t* at = to + row / side * side * k * parts + row % side * side;
      const float* from = a + row * stride;
      for (int64_t c = 0; c < k; c += side, at += block) {
        __m512 x = row < n_rows ? _mm512_loadu_ps(from + c) : _mm512_setzero_ps();
        __m512 y = row < n_rows ? _mm512_loadu_ps(from + c + 16) : _mm512_setzero_ps();
        unroll<parts>([&](auto i) UNROLLED {
          const __m512i both = _mm512_permutex2var_epi16(_mm512_castps_si512(x), upper_halves,
                                                         _mm512_castps_si512(y));
          _mm512_store_si512(at + i * part, both);
          x = take(x);
          y = take(y);
        });
      }
    }
  }

  // Tiles: 0 to 3 are sums, 4 and 5 rows of a, 6 and 7 columns of b.
  template <int tiles_of_rows>
  static INLINE void load_rows(const uint16_t* a) {
    asm volatile("tileloadd (%0,%1,1), %%tmm4" : : "r"(a), "r"(64L) : "memory");
    if constexpr (tiles_of_rows == 2)
      asm volatile("tileloadd (%0,%1,1), %%tmm5" : : "r"(a + tile), "r"(64L) : "memory");
  }
  static INLINE void load_columns(const uint16_t* b) {
    asm volatile("tileloadd (%0,%1,1), %%tmm6" : : "r"(b), "r"(64L) : "memory");
    asm volatile("tileloadd (%0,%1,1), %%tmm7" : : "r"(b + tile), "r"(64L) : "memory");
  }
  template <int tiles_of_rows>
  static INLINE void add_products() {
    asm volatile("tdpbf16ps %tmm6, %tmm4, %tmm0\n\ttdpbf16ps %tmm7, %tmm4, %tmm1");
    if constexpr (tiles_of_rows == 2)
      asm volatile("tdpbf16ps %tmm6, %tmm5, %tmm2\n\ttdpbf16ps %tmm7, %tmm5, %tmm3");
  }

  // A block of the product: `side` columns, and as many rows or half of them. The smallest products
  // come first.
  template <int tiles_of_rows>
  static void sum(const uint16_t* a, const uint16_t* b, int64_t k, float* out, int64_t stride) {
    asm volatile("tilezero %tmm0\n\ttilezero %tmm1\n\ttilezero %tmm2\n\ttilezero %tmm3");
    for (int64_t i = 0; i < k; i += side, a += block, b += block) {
      load_rows<tiles_of_rows>(a + 2 * part);
      load_columns(b);
      add_products<tiles_of_rows>();
      load_rows<tiles_of_rows>(a + part);
      add_products<tiles_of_rows>();
      load_columns(b + part);
      add_products<tiles_of_rows>();
      load_rows<tiles_of_rows>(a);
      add_products<tiles_of_rows>();
      load_columns(b + 2 * part);
      add_products<tiles_of_rows>();
      load_columns(b);
      add_products<tiles_of_rows>();
    }
    const int64_t bytes = stride * int64_t(sizeof(float));
    asm volatile("tilestored %%tmm0, (%0,%1,1)" : : "r"(out), "r"(bytes) : "memory");
    asm volatile("tilestored %%tmm1, (%0,%1,1)" : : "r"(out + 16), "r"(bytes) : "memory");
    if constexpr (tiles_of_rows == 2) {
      float* below = out + 16 * stride;
      asm volatile("tilestored %%tmm2, (%0,%1,1)" : : "r"(below), "r"(bytes) : "memory");
      asm volatile("tilestored %%tmm3, (%0,%1,1)" : : "r"(below + 16), "r"(bytes) : "memory");
    }
  }
};
#else
struct Tiles {  // never used
  static constexpr bool exist = false;
  static bool allowed() { return false; }
  static constexpr int64_t packed_size(int64_t, int64_t) { return 0; }
  static void pack(const float*, int64_t, int64_t, uint16_t*);
  static void multiply(const float*, int64_t, int64_t, const uint16_t*, int64_t, int64_t, float*,
                       int64_t);
};
#endif

// Products of matrices [k, n] gain from tiles: smaller ones lose.
template <class Real>
constexpr bool suits_tiles(int64_t k, int64_t n) {
  return Tiles::exist && std::is_same_v<Real, float> && k >= 128 && n >= 128 && k % 32 == 0 &&
         n % 32 == 0;
}

}  // namespace mhff
