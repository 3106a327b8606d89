#include "kernels/cpu/bf16_gemm.h"

#include "base/error.h"

#if defined(__x86_64__) && defined(__linux__) && \
    (defined(__clang__) || __GNUC__ >= 11)
#define ROPEWALK_HAS_AMX 1
#include <cpuid.h>
// Of GCC 12 about its own header.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#include <sys/syscall.h>
#include <unistd.h>
#else
#define ROPEWALK_HAS_AMX 0
#endif

#include <algorithm>

namespace ropewalk::kernels {

#if ROPEWALK_HAS_AMX

// Highway has no tiles, so these few functions are written for the one
// instruction set that does.
#define ROPEWALK_TILES \
  __attribute__((      \
      target("avx512f,avx512bw,avx512vl,avx512bf16,amx-tile,amx-bf16")))

namespace {

// A tile is 16 rows of 64 bytes: of A 16 x 32 numbers; of B 32 x 16, two rows
// of it side by side in each; of C 16 x 16 in float32.
constexpr int64_t kRows = 16;
constexpr int64_t kDepth = 32;
constexpr int64_t kTile = kRows * kDepth;  // uint16_t of a packed tile
constexpr int64_t kBlock = 2 * kRows;      // of C: 2 x 2 tiles

int64_t Blocks(int64_t size) { return (size + kBlock - 1) / kBlock; }

bool AskForTiles() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0) return false;
  const bool tiles = (d >> 24 & 1) != 0 && (d >> 22 & 1) != 0;
  const bool wide = (b >> 16 & 1) != 0 && (b >> 30 & 1) != 0 &&
                    (b >> 31 & 1) != 0;  // AVX-512 F, BW, VL
  if (!tiles || !wide) return false;
  if (__get_cpuid_count(7, 1, &a, &b, &c, &d) == 0) return false;
  if ((a >> 5 & 1) == 0) return false;         // AVX-512 BF16
  constexpr long kRequestPermission = 0x1023;  // ARCH_REQ_XCOMP_PERM
  constexpr long kTileData = 18;
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

ROPEWALK_TILES inline __mmask16 First(int64_t count) {
  return static_cast<__mmask16>(
      (uint32_t{1} << std::clamp<int64_t>(count, 0, kRows)) - 1);
}

// 16 lanes of two neighbours each, from memory [rows, cols], zeros beyond:
// lane j of line i is columns 2 j and 2 j + 1 of row i.
ROPEWALK_TILES void PairsAlong(const float* from, int64_t stride, int64_t rows,
                               int64_t cols, __m512i (&lines)[kRows]) {
  const __mmask16 low = First(cols);
  const __mmask16 high = First(cols - kRows);
  for (int64_t i = 0; i < kRows; ++i) {
    lines[i] = _mm512_setzero_si512();
    if (i >= rows) continue;
    const float* row = from + i * stride;
    lines[i] = reinterpret_cast<__m512i>(
        _mm512_cvtne2ps_pbh(_mm512_maskz_loadu_ps(high, row + kRows),
                            _mm512_maskz_loadu_ps(low, row)));
  }
}

// Lane j of line i is rows 2 i and 2 i + 1 of column j.
ROPEWALK_TILES void PairsAcross(const float* from, int64_t stride, int64_t rows,
                                int64_t cols, __m512i (&lines)[kRows]) {
  const __mmask16 some = First(cols);
  for (int64_t i = 0; i < kRows; ++i) {
    __m512 even = _mm512_setzero_ps();
    __m512 odd = _mm512_setzero_ps();
    if (2 * i < rows) {
      even = _mm512_maskz_loadu_ps(some, from + 2 * i * stride);
    }
    if (2 * i + 1 < rows) {
      odd = _mm512_maskz_loadu_ps(some, from + (2 * i + 1) * stride);
    }
    const __m512i low = _mm512_cvtepu16_epi32(
        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(even)));
    const __m512i high = _mm512_cvtepu16_epi32(
        reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(odd)));
    lines[i] = _mm512_or_si512(low, _mm512_slli_epi32(high, 16));
  }
}

// Lane j of line i and lane i of line j change places.
ROPEWALK_TILES void Transpose(__m512i (&lines)[kRows]) {
  __m512i t[kRows];
  for (int64_t i = 0; i < kRows; i += 2) {
    t[i] = _mm512_unpacklo_epi32(lines[i], lines[i + 1]);
    t[i + 1] = _mm512_unpackhi_epi32(lines[i], lines[i + 1]);
  }
  for (int64_t i = 0; i < kRows; i += 4) {
    lines[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
    lines[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
    lines[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
    lines[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
  }
  for (int64_t i = 0; i < 4; ++i) {
    t[i] = _mm512_shuffle_i32x4(lines[i], lines[i + 4], 0x88);
    t[i + 4] = _mm512_shuffle_i32x4(lines[i], lines[i + 4], 0xdd);
    t[i + 8] = _mm512_shuffle_i32x4(lines[i + 8], lines[i + 12], 0x88);
    t[i + 12] = _mm512_shuffle_i32x4(lines[i + 8], lines[i + 12], 0xdd);
  }
  for (int64_t i = 0; i < 4; ++i) {
    lines[i] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0x88);
    lines[i + 8] = _mm512_shuffle_i32x4(t[i], t[i + 8], 0xdd);
    lines[i + 4] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0x88);
    lines[i + 12] = _mm512_shuffle_i32x4(t[i + 4], t[i + 12], 0xdd);
  }
}

ROPEWALK_TILES void Store(const __m512i (&lines)[kRows], uint16_t* tile) {
  for (int64_t i = 0; i < kRows; ++i) {
    _mm512_store_si512(tile + i * kDepth, lines[i]);
  }
}

// The 32 rows of A, or columns of B, from `first` on: for each stretch of
// kDepth along K two tiles.
//
//   lie_along   K runs along the rows of memory
//   turn        lines come out the other way round than the tile wants
ROPEWALK_TILES void PackPanel(const Bf16Operand& x, bool lie_along, bool turn,
                              int64_t first, int64_t size, int64_t K,
                              uint16_t* panel) {
  __m512i lines[kRows];
  for (int64_t k = 0; k < K; k += kDepth) {
    const int64_t depth = std::min(kDepth, K - k);
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t at = first + half * kRows;
      const int64_t count = std::clamp<int64_t>(size - at, 0, kRows);
      if (lie_along) {
        PairsAlong(x.data + at * x.stride + k, x.stride, count, depth, lines);
      } else {
        PairsAcross(x.data + k * x.stride + at, x.stride, depth, count, lines);
      }
      if (turn) Transpose(lines);
      Store(lines, panel);
      panel += kTile;
    }
  }
}

// One block of C, up to 32 x 32, from panels of A and B.
ROPEWALK_TILES void Block(const uint16_t* a, const uint16_t* b,
                          int64_t stretches, float* c, int64_t stride,
                          bool add) {
  const auto bytes = static_cast<size_t>(stride) * sizeof(float);
  float* below = c + kRows * stride;
  if (add) {
    _tile_loadd(0, c, bytes);
    _tile_loadd(1, c + kRows, bytes);
    _tile_loadd(2, below, bytes);
    _tile_loadd(3, below + kRows, bytes);
  } else {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t k = 0; k < stretches; ++k) {
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(7, b + kTile, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, a + kTile, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
    a += 2 * kTile;
    b += 2 * kTile;
  }
  _tile_stored(0, c, bytes);
  _tile_stored(1, c + kRows, bytes);
  _tile_stored(2, below, bytes);
  _tile_stored(3, below + kRows, bytes);
}

// At the edge of C the block goes over a buffer of its own.
ROPEWALK_TILES void EdgeBlock(const uint16_t* a, const uint16_t* b,
                              int64_t stretches, int64_t rows, int64_t cols,
                              float* c, int64_t stride, bool add) {
  alignas(64) float whole[kBlock * kBlock];
  Block(a, b, stretches, whole, kBlock, false);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < cols; ++j) {
      float& to = c[i * stride + j];
      to = (add ? to : 0.0f) + whole[i * kBlock + j];
    }
  }
}

struct Shape {
  int64_t M, N, K;
  int64_t stretches() const { return (K + kDepth - 1) / kDepth; }
  int64_t panel() const { return 2 * kTile * stretches(); }
};

// Rows [32 block, 32 block + 32) of C.
ROPEWALK_TILES void BlockRow(const Shape& shape, int64_t block,
                             const Bf16Operand& a, const uint16_t* b,
                             uint16_t* panel, float* c, int64_t stride,
                             bool add) {
  TileConfig config;
  std::fill_n(config.row_bytes, 8, uint16_t{64});
  std::fill_n(config.rows, 8, uint8_t{kRows});
  _tile_loadconfig(&config);
  const int64_t first = block * kBlock;
  PackPanel(a, !a.transposed, a.transposed, first, shape.M, shape.K, panel);
  const int64_t rows = std::min(kBlock, shape.M - first);
  for (int64_t n = 0; n < shape.N; n += kBlock) {
    const int64_t cols = std::min(kBlock, shape.N - n);
    float* to = c + first * stride + n;
    if (rows == kBlock && cols == kBlock) {
      Block(panel, b, shape.stretches(), to, stride, add);
    } else {
      EdgeBlock(panel, b, shape.stretches(), rows, cols, to, stride, add);
    }
    b += shape.panel();
  }
  _tile_release();
}

}  // namespace

bool HasBf16Tiles() {
  static const bool kHas = AskForTiles();
  return kHas;
}

void Bf16Gemm(int64_t M, int64_t N, int64_t K, const Bf16Operand& a,
              const Bf16Operand& b, float* c, int64_t stride, bool add,
              ParallelFor& parallel, Bf16Scratch& scratch) {
  ROPEWALK_CHECK(HasBf16Tiles());
  if (M <= 0 || N <= 0) return;
  const Shape shape{M, N, K};
  const int64_t panel = shape.panel();
  scratch.b.EnsureSize(Blocks(N) * panel);
  const auto workers = static_cast<size_t>(parallel.workers());
  if (scratch.a.size() < workers) scratch.a.resize(workers);
  parallel.Run(Blocks(N), [&](int64_t block, int64_t) {
    PackPanel(b, b.transposed, b.transposed, block * kBlock, N, K,
              scratch.b.data() + block * panel);
  });
  parallel.Run(Blocks(M), [&](int64_t block, int64_t worker) {
    auto& own = scratch.a[static_cast<size_t>(worker)];
    own.EnsureSize(panel);
    BlockRow(shape, block, a, scratch.b.data(), own.data(), c, stride, add);
  });
}

#else

bool HasBf16Tiles() { return false; }

void Bf16Gemm(int64_t, int64_t, int64_t, const Bf16Operand&, const Bf16Operand&,
              float*, int64_t, bool, ParallelFor&, Bf16Scratch&) {
  ROPEWALK_CHECK(false);
}

#endif

}  // namespace ropewalk::kernels
