// Which element type each tensor of a converted model gets.

#ifndef ROPEWALK_CLI_CONVERT_TYPES_H_
#define ROPEWALK_CLI_CONVERT_TYPES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/dtype.h"
#include "formats/gguf.h"

namespace ropewalk::cli {

// What `convert --type` names: one type for all matrices, or one of llama.cpp's
// mixes, which give the tensors that matter most more bits.
struct ConvertTarget {
  std::string_view name;  // "q4_0", "q4_K_M"
  DType type = DType::kQ8_0;
  bool mix = false;
  int64_t file_type = 7;  // the key general.file_type
};

// In any case; "q4_K" and "q5_K" are short for their _M, as in llama.cpp.
// Nothing for a name that is not in ConvertTargetNames().
std::optional<ConvertTarget> ParseConvertTarget(std::string_view name);

// "f32|f16|...|q6_K"
std::string ConvertTargetNames();

// The types to try for each tensor of `file`, in the file's order, the first
// that its rows and its numbers allow; the last is f32. Vectors, norms and
// routers of experts have f32 alone.
std::vector<std::vector<DType>> ConvertTypes(const formats::GgufFile& file,
                                             const ConvertTarget& target);

}  // namespace ropewalk::cli

#endif  // ROPEWALK_CLI_CONVERT_TYPES_H_
