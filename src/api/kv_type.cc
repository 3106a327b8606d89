#include "api/kv_type.h"

#include <optional>
#include <stdexcept>
#include <string>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk {
namespace {

struct StoredType {
  KvType kv_type;
  DType dtype;
};
constexpr StoredType kStoredTypes[] = {{KvType::kF32, DType::kF32},
                                       {KvType::kF16, DType::kF16},
                                       {KvType::kBF16, DType::kBf16},
                                       {KvType::kQ8_0, DType::kQ8_0},
                                       {KvType::kQ4_0, DType::kQ4_0}};

}  // namespace

DType DTypeOf(KvType type) {
  for (const StoredType& stored : kStoredTypes) {
    if (stored.kv_type == type) return stored.dtype;
  }
  throw std::invalid_argument(
      "the type of keys and values must be a KvType, got " +
      std::to_string(static_cast<int>(type)));
}

KvType KvTypeOf(DType type) {
  for (const StoredType& stored : kStoredTypes) {
    if (stored.dtype == type) return stored.kv_type;
  }
  CheckFailed(__FILE__, __LINE__, "keys are not stored as this type");
}

std::string_view NameOf(KvType type) { return InfoOf(DTypeOf(type)).name; }

KvType ParseKvType(std::string_view name) {
  const std::optional<DType> dtype = ParseDType(name);
  for (const StoredType& stored : kStoredTypes) {
    if (stored.dtype == dtype) return stored.kv_type;
  }
  throw std::invalid_argument(
      "kv_type must be f32, f16, bf16, q8_0 or q4_0, got '" +
      Printable(name, 40) + "'");
}

}  // namespace ropewalk
