#include "huggingface/write_folder.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <span>
#include <utility>
#include <vector>

#include "base/atomic_file.h"
#include "base/error.h"
#include "base/text.h"
#include "formats/ggml_types.h"
#include "formats/safetensors.h"
#include "huggingface/tensor_names.h"
#include "huggingface/tokenizer_files.h"
#include "huggingface/write_config.h"
#include "kernels/blocks.h"

namespace ropewalk::huggingface {
namespace {

using formats::GgufFile;
using formats::GgufTensor;

constexpr int64_t kChunkElements = 1 << 20;

// A tensor to write: rows [first, first + rows) of one of the file.
struct Written {
  std::string name;
  const GgufTensor* tensor = nullptr;
  std::vector<int64_t> shape;
  int64_t first = 0;
  bool halves = false;  // neighbouring rows of heads become halves
  float minus = 0;
};

class FolderWriter {
 public:
  FolderWriter(const GgufFile& file, const Family& family,
               const formats::Json& config)
      : file_(file),
        family_(family),
        head_width_(config["head_dim"].get<int64_t>()),
        rotary_width_(file.metadata()
                          .FindInt(std::string(family.architecture) +
                                   ".rope.dimension_count")
                          .value_or(head_width_)) {
    for (const GgufTensor& tensor : file.tensors()) Plan(tensor);
  }

  void Write(const std::string& path, DType type,
             const std::function<void(int64_t)>& advance) const {
    const formats::SafeType safe = type == DType::kF32 ? formats::SafeType::kF32
                                   : type == DType::kF16
                                       ? formats::SafeType::kF16
                                       : formats::SafeType::kBf16;
    formats::SafetensorsWriter writer(path, {.checksum = false});
    writer.AddMetadata("format", "pt");
    for (const Written& one : written_) {
      writer.AddTensor(one.name, safe, one.shape);
    }
    for (const Written& one : written_) {
      WriteOne(one, type, writer);
      advance(one.tensor->ByteSize() * ElementsOf(one) /
              one.tensor->Elements());
    }
    writer.Finish();
  }

 private:
  static int64_t ElementsOf(const Written& one) {
    int64_t elements = 1;
    for (const int64_t size : one.shape) elements *= size;
    return elements;
  }

  [[noreturn]] void Fail(const GgufTensor& tensor,
                         const std::string& what) const {
    throw FormatError(tensor.path, tensor.file_offset,
                      "tensor '" + Printable(tensor.name) + "' " + what);
  }

  void Plan(const GgufTensor& tensor) {
    static const std::set<std::string, std::less<>> kInConfig = {
        "rope_freqs.weight", "rope_factors_short.weight",
        "rope_factors_long.weight"};
    if (kInConfig.contains(tensor.name)) return;
    if (!tensor.type) Fail(tensor, formats::UnreadType(tensor.type_name));
    std::string rest = tensor.name;
    std::string prefix = "model.";
    const bool in_layer = rest.starts_with("blk.");
    if (in_layer) {
      const size_t dot = rest.find('.', 4);
      if (dot == std::string::npos) Fail(tensor, "is not known");
      prefix += "layers." + rest.substr(4, dot - 4) + ".";
      rest.erase(0, dot + 1);
    }
    const size_t dot = rest.rfind('.');
    const std::string part = rest.substr(0, dot);
    const std::string suffix = dot == std::string::npos ? "" : rest.substr(dot);
    const auto published = PublishedPart(part, in_layer, family_);
    if (!published || suffix.empty()) {
      Fail(tensor, "has no name in folders of the family '" +
                       std::string(family_.model_type) + "'");
    }
    if (*published == "lm_head") prefix.clear();
    if (tensor.shape.size() == 3) {
      return PlanExperts(tensor, prefix, *published, suffix);
    }
    Written one{.name = prefix + *published + suffix,
                .tensor = &tensor,
                .shape = tensor.shape};
    if (part == "ffn_gate_inp_shexp" && one.shape.size() == 1) {
      one.shape.insert(one.shape.begin(), 1);
    }
    one.halves = family_.pairs_halves && (part == "attn_q" || part == "attn_k");
    if (one.halves && tensor.shape.front() % head_width_ != 0) {
      Fail(tensor,
           "must have whole heads of " + std::to_string(head_width_) + " rows");
    }
    if (family_.norms_plus_one && part.ends_with("norm")) one.minus = 1;
    written_.push_back(std::move(one));
  }

  // "mlp.experts.up_proj" is written as "mlp.experts.3.up_proj".
  void PlanExperts(const GgufTensor& tensor, const std::string& prefix,
                   const std::string& published, const std::string& suffix) {
    const size_t dot = published.rfind('.');
    for (int64_t e = 0; e < tensor.shape[0]; ++e) {
      written_.push_back({.name = prefix + published.substr(0, dot) + "." +
                                  std::to_string(e) + published.substr(dot) +
                                  suffix,
                          .tensor = &tensor,
                          .shape = {tensor.shape[1], tensor.shape[2]},
                          .first = e * tensor.shape[1]});
    }
  }

  // Where row r of what is written stands in the file.
  int64_t RowOf(const Written& one, int64_t r) const {
    if (!one.halves) return one.first + r;
    const int64_t within = r % head_width_;
    const int64_t half = rotary_width_ / 2;
    if (within >= rotary_width_) return r;
    return r / head_width_ * head_width_ +
           (within < half ? 2 * within : 2 * (within - half) + 1);
  }

  void WriteOne(const Written& one, DType type,
                formats::SafetensorsWriter& writer) const {
    const GgufTensor& tensor = *one.tensor;
    const bool vector = tensor.shape.size() == 1;
    const int64_t columns = tensor.Columns();
    const int64_t rows = ElementsOf(one) / columns;
    const int64_t chunk = std::max<int64_t>(1, kChunkElements / columns);
    const int64_t row_bytes = RowBytes(type, columns);
    std::vector<float> floats(static_cast<size_t>(columns));
    for (int64_t begin = 0; begin < rows; begin += chunk) {
      const int64_t count = std::min(chunk, rows - begin);
      std::vector<std::byte> packed(static_cast<size_t>(count * row_bytes));
      for (int64_t r = 0; r < count; ++r) {
        const std::byte* from =
            vector ? tensor.bytes.data() : tensor.Row(RowOf(one, begin + r));
        kernels::UnpackRow(*tensor.type, from, columns, floats.data());
        if (vector) Arrange(one, floats);
        kernels::PackRow(type, floats.data(), columns,
                         packed.data() + r * row_bytes);
      }
      writer.WriteTensor(packed);
    }
  }

  // A vector is one row: a bias, whose elements are rows of its matrix, or the
  // weights of a norm.
  void Arrange(const Written& one, std::vector<float>& floats) const {
    for (float& value : floats) value -= one.minus;
    if (!one.halves) return;
    const std::vector<float> from = floats;
    for (size_t r = 0; r < floats.size(); ++r) {
      floats[r] =
          from[static_cast<size_t>(RowOf(one, static_cast<int64_t>(r)))];
    }
  }

  const GgufFile& file_;
  const Family& family_;
  int64_t head_width_;
  int64_t rotary_width_;
  std::vector<Written> written_;
};

}  // namespace

void WriteFolder(const GgufFile& file, const std::string& folder, DType type,
                 const std::function<void(int64_t)>& advance) {
  Require(type == DType::kF32 || type == DType::kF16 || type == DType::kBf16,
          "a folder has weights in f32, f16 or bf16, not in " +
              std::string(InfoOf(type).name));
  const WrittenConfig config =
      WriteConfig(file, type == DType::kF32   ? "float32"
                        : type == DType::kF16 ? "float16"
                                              : "bfloat16");
  const FolderWriter writer(file, *config.family, config.json);
  std::error_code error;
  std::filesystem::create_directory(folder, error);
  if (error) {
    throw IoError("cannot make the folder '" + Printable(folder, 400) +
                  "': " + error.message());
  }
  const std::filesystem::path path(folder);
  writer.Write((path / "model.safetensors").string(), type, advance);
  if (file.metadata().Has("tokenizer.ggml.tokens")) {
    WriteTokenizerFiles(file.metadata(), folder);
  }
  // The configuration comes last: without it the folder is none.
  WriteFileAtomically((path / "config.json").string(),
                      config.json.dump(2) + "\n");
}

}  // namespace ropewalk::huggingface
