#include "kernels/cpu/bf16_gemm.h"

#include "base/error.h"

#if defined(__x86_64__) && defined(__linux__) && \
    (defined(__clang__) || __GNUC__ >= 11)
#define ROPEWALK_HAS_AMX 1
#include <cpuid.h>
// GCC 12 warns about its own header.
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

// Highway has no AMX tiles, so these functions use the compiler's intrinsics.
#define ROPEWALK_TILES \
  __attribute__((      \
      target("avx512f,avx512bw,avx512vl,avx512bf16,amx-tile,amx-bf16")))

namespace {

// A tile is 16 rows of 64 bytes. It holds 16 x 32 numbers of A, or 32 x 16
// numbers of B with two rows of B interleaved in each, or 16 x 16 float32
// numbers of C.
constexpr int64_t kRows = 16;
constexpr int64_t kDepth = 32;
constexpr int64_t kTile = kRows * kDepth;  // numbers in a packed tile
constexpr int64_t kBlock = 2 * kRows;      // a block of C is 2 x 2 tiles
// K is cut into parts of this size, so that panels of some hundred rows stay
// in the cache.
constexpr int64_t kChunk = 512;

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

ROPEWALK_TILES inline __m512i Rounded(__m512 low, __m512 high) {
  return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}

// Reads memory [rows, cols], with zeros beyond it, so that lane j of line i has
// columns 2 j and 2 j + 1 of row i.
ROPEWALK_TILES inline void PairsAlong(const float* from, int64_t stride,
                                      int64_t rows, int64_t cols,
                                      __m512i (&lines)[kRows]) {
  if (rows == kRows && cols == kDepth) {
    for (int64_t i = 0; i < kRows; ++i) {
      const float* row = from + i * stride;
      lines[i] = Rounded(_mm512_loadu_ps(row), _mm512_loadu_ps(row + kRows));
    }
    return;
  }
  const __mmask16 low = First(cols);
  const __mmask16 high = First(cols - kRows);
  for (int64_t i = 0; i < kRows; ++i) {
    lines[i] = _mm512_setzero_si512();
    if (i >= rows) continue;
    const float* row = from + i * stride;
    lines[i] = Rounded(_mm512_maskz_loadu_ps(low, row),
                       _mm512_maskz_loadu_ps(high, row + kRows));
  }
}

// The same, with rows 2 i and 2 i + 1 of column j in lane j of line i.
ROPEWALK_TILES inline void PairsAcross(const float* from, int64_t stride,
                                       int64_t rows, int64_t cols,
                                       __m512i (&lines)[kRows]) {
  // 16 numbers of the even row and 16 of the odd row, to be interleaved.
  alignas(64) constexpr uint16_t kSideBySide[kDepth] = {
      0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
      8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  const __m512i order = _mm512_load_si512(kSideBySide);
  if (rows == kDepth && cols == kRows) {
    for (int64_t i = 0; i < kRows; ++i) {
      const float* row = from + 2 * i * stride;
      lines[i] = _mm512_permutexvar_epi16(
          order, Rounded(_mm512_loadu_ps(row), _mm512_loadu_ps(row + stride)));
    }
    return;
  }
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
    lines[i] = _mm512_permutexvar_epi16(order, Rounded(even, odd));
  }
}

// Exchanges lane j of line i with lane i of line j.
ROPEWALK_TILES inline void Transpose(__m512i (&lines)[kRows]) {
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

ROPEWALK_TILES inline void Store(const __m512i (&lines)[kRows],
                                 uint16_t* tile) {
  for (int64_t i = 0; i < kRows; ++i) {
    _mm512_store_si512(tile + i * kDepth, lines[i]);
  }
}

// An operand that is being packed: `size` rows of A or columns of B, in panels
// of 32. A panel holds two tiles for each kDepth numbers along K.
struct Packing {
  const Bf16Operand& x;
  int64_t size;
  bool along;  // K runs along the rows of memory
  bool turn;   // lines read from memory must be transposed for the tile
};

// Packs the tiles of K's numbers [k, k + depth) for the panel that begins at
// row or column `first`.
ROPEWALK_TILES inline void PackTiles(const Packing& p, int64_t first, int64_t k,
                                     int64_t depth, uint16_t* tile) {
  __m512i lines[kRows];
  for (int64_t half = 0; half < 2; ++half) {
    const int64_t at = first + half * kRows;
    const int64_t count = std::clamp<int64_t>(p.size - at, 0, kRows);
    if (p.along) {
      PairsAlong(p.x.data + at * p.x.stride + k, p.x.stride, count, depth,
                 lines);
    } else {
      PairsAcross(p.x.data + k * p.x.stride + at, p.x.stride, depth, count,
                  lines);
    }
    if (p.turn) Transpose(lines);
    Store(lines, tile + half * kTile);
  }
}

// The part of K that is packed and multiplied at one time.
struct Chunk {
  int64_t begin, end;  // along K
  int64_t stretches() const { return (end - begin + kDepth - 1) / kDepth; }
  int64_t panel() const { return 2 * kTile * stretches(); }
};

// Reads memory along its rows, because large strides would miss the cache.
ROPEWALK_TILES void PackPanel(const Packing& p, const Chunk& chunk,
                              int64_t first, uint16_t* panel) {
  for (int64_t k = chunk.begin; k < chunk.end; k += kDepth) {
    PackTiles(p, first, k, std::min(kDepth, chunk.end - k), panel);
    panel += 2 * kTile;
  }
}

ROPEWALK_TILES void PackStretch(const Packing& p, const Chunk& chunk,
                                int64_t stretch, uint16_t* panels) {
  const int64_t k = chunk.begin + stretch * kDepth;
  const int64_t depth = std::min(kDepth, chunk.end - k);
  uint16_t* tile = panels + stretch * 2 * kTile;
  for (int64_t first = 0; first < p.size; first += kBlock) {
    PackTiles(p, first, k, depth, tile);
    tile += chunk.panel();
  }
}

void PackAll(const Packing& p, const Chunk& chunk, ParallelFor& parallel,
             uint16_t* panels) {
  if (p.along) {
    parallel.Run(Blocks(p.size), [&](int64_t block, int64_t) {
      PackPanel(p, chunk, block * kBlock, panels + block * chunk.panel());
    });
  } else {
    parallel.Run(chunk.stretches(), [&](int64_t stretch, int64_t) {
      PackStretch(p, chunk, stretch, panels);
    });
  }
}

// Computes one block of C, up to 32 x 32, from panels of A and B.
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

// The same at the edge of C, through a buffer of its own.
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

// Computes rows [32 block, 32 block + 32) of C [M, N] from panels.
ROPEWALK_TILES void BlockRow(int64_t M, int64_t N, const Chunk& chunk,
                             int64_t block, const uint16_t* a,
                             const uint16_t* b, float* c, int64_t stride,
                             bool add) {
  TileConfig config;
  std::fill_n(config.row_bytes, 8, uint16_t{64});
  std::fill_n(config.rows, 8, uint8_t{kRows});
  _tile_loadconfig(&config);
  const int64_t first = block * kBlock;
  const int64_t rows = std::min(kBlock, M - first);
  for (int64_t n = 0; n < N; n += kBlock) {
    const int64_t cols = std::min(kBlock, N - n);
    float* to = c + first * stride + n;
    if (rows == kBlock && cols == kBlock) {
      Block(a, b, chunk.stretches(), to, stride, add);
    } else {
      EdgeBlock(a, b, chunk.stretches(), rows, cols, to, stride, add);
    }
    b += chunk.panel();
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
  const Packing pack_a{a, M, !a.transposed, a.transposed};
  const Packing pack_b{b, N, b.transposed, b.transposed};
  const auto workers = static_cast<size_t>(parallel.workers());
  if (scratch.rows.size() < workers) scratch.rows.resize(workers);
  for (int64_t k = 0; k == 0 || k < K; k += kChunk) {
    const Chunk chunk{k, std::min(k + kChunk, K)};
    scratch.b.EnsureSize(Blocks(N) * chunk.panel());
    PackAll(pack_b, chunk, parallel, scratch.b.data());
    if (a.transposed) {
      scratch.a.EnsureSize(Blocks(M) * chunk.panel());
      PackAll(pack_a, chunk, parallel, scratch.a.data());
    }
    parallel.Run(Blocks(M), [&](int64_t block, int64_t worker) {
      const uint16_t* panel = scratch.a.data() + block * chunk.panel();
      if (!a.transposed) {
        auto& own = scratch.rows[static_cast<size_t>(worker)];
        own.EnsureSize(chunk.panel());
        PackPanel(pack_a, chunk, block * kBlock, own.data());
        panel = own.data();
      }
      BlockRow(M, N, chunk, block, panel, scratch.b.data(), c, stride,
               add || k > 0);
    });
  }
}

#else

bool HasBf16Tiles() { return false; }

void Bf16Gemm(int64_t, int64_t, int64_t, const Bf16Operand&, const Bf16Operand&,
              float*, int64_t, bool, ParallelFor&, Bf16Scratch&) {
  ROPEWALK_CHECK(false);
}

#endif

}  // namespace ropewalk::kernels
