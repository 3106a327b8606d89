#include "kernels/cpu/interleaved.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <type_traits>

#include "hwy/cache_control.h"
#include "kernels/cpu/isa.h"
#include "kernels/interleaved_forms.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/interleaved.cc"
#include "hwy/foreach_target.h"
// clang-format off: foreach_target must come first
#include "hwy/highway.h"
// clang-format on
#include "kernels/cpu/loaders-inl.h"
#include "kernels/cpu/unroll.h"

#ifndef ROPEWALK_INTERLEAVED_KERNELS
#define ROPEWALK_INTERLEAVED_KERNELS
namespace ropewalk::kernels {
// The functions of interleaved.h for one variant of an instruction set.
struct InterleavedKernels {
  bool (*biases_codes)(int64_t);
  int64_t (*quantize_panel)(const QuantizePanelArgs&);
  void (*multiply_streamed)(const InterleavedMatrix&, int64_t,
                            const QuantizedRows&, float*);
  void (*multiply_unpacked)(const InterleavedMatrix&, int64_t, int64_t,
                            const QuantizedRows&, float*, uint8_t*);
};
}  // namespace ropewalk::kernels
#endif

// Highway's sets know no instructions that multiply bytes and add, so sets that
// may have them are compiled twice.
#undef ROPEWALK_HAS_VNNI
#if HWY_ARCH_X86 && (HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2)
#define ROPEWALK_HAS_VNNI 1
#elif HWY_TARGET == HWY_NEON && HWY_ARCH_ARM_A64
#define ROPEWALK_HAS_VNNI 1
#else
#define ROPEWALK_HAS_VNNI 0
#endif

#undef ROPEWALK_VARIANT
#undef ROPEWALK_VNNI
#undef ROPEWALK_BEFORE_NAMESPACE
#undef ROPEWALK_ATTR
#define ROPEWALK_VARIANT plain
#define ROPEWALK_VNNI 0
#define ROPEWALK_BEFORE_NAMESPACE() HWY_BEFORE_NAMESPACE()
#define ROPEWALK_ATTR HWY_ATTR
#include "kernels/cpu/interleaved-variant-inl.h"

#if ROPEWALK_HAS_VNNI
#undef ROPEWALK_VARIANT
#undef ROPEWALK_VNNI
#undef ROPEWALK_BEFORE_NAMESPACE
#undef ROPEWALK_ATTR
#undef ROPEWALK_VNNI_STR
#if HWY_TARGET == HWY_AVX3
#define ROPEWALK_VNNI_STR HWY_TARGET_STR ",avx512vnni"
#elif HWY_TARGET == HWY_AVX2
#define ROPEWALK_VNNI_STR HWY_TARGET_STR ",avxvnni"
#else
#define ROPEWALK_VNNI_STR "arch=armv8.2-a+crypto+dotprod"
#endif
#define ROPEWALK_VARIANT vnni
#define ROPEWALK_VNNI 1
#define ROPEWALK_BEFORE_NAMESPACE() HWY_PUSH_ATTRIBUTES(ROPEWALK_VNNI_STR)
#define ROPEWALK_ATTR __attribute__((target(ROPEWALK_VNNI_STR)))
#include "kernels/cpu/interleaved-variant-inl.h"
#endif

HWY_BEFORE_NAMESPACE();
namespace ropewalk::kernels {
namespace HWY_NAMESPACE {

const InterleavedKernels& KernelsImpl() {
  static constexpr InterleavedKernels kPlain = {
      plain::BiasesCodes, plain::QuantizePanel, plain::MultiplyStreamed,
      plain::MultiplyUnpacked};
#if ROPEWALK_HAS_VNNI
  static constexpr InterleavedKernels kVnni = {
      vnni::BiasesCodes, vnni::QuantizePanel, vnni::MultiplyStreamed,
      vnni::MultiplyUnpacked};
  if (UsesVnni()) return kVnni;
#endif
  return kPlain;
}

}  // namespace HWY_NAMESPACE
}  // namespace ropewalk::kernels
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace ropewalk::kernels {
HWY_EXPORT(KernelsImpl);
namespace {
const InterleavedKernels& Kernels() {
  return HWY_DYNAMIC_DISPATCH(KernelsImpl)();
}
}  // namespace

bool BiasesCodes(int64_t T) noexcept { return Kernels().biases_codes(T); }
int64_t QuantizePanel(const QuantizePanelArgs& args) noexcept {
  return Kernels().quantize_panel(args);
}
void MultiplyStreamed(const InterleavedMatrix& matrix, int64_t group,
                      const QuantizedRows& x, float* y) noexcept {
  Kernels().multiply_streamed(matrix, group, x, y);
}
void MultiplyUnpacked(const InterleavedMatrix& matrix, int64_t group,
                      int64_t groups, const QuantizedRows& x, float* y,
                      uint8_t* scratch) noexcept {
  Kernels().multiply_unpacked(matrix, group, groups, x, y, scratch);
}
}  // namespace ropewalk::kernels
#endif
