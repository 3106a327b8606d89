#include "huggingface/tensors.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>

#include "base/aligned.h"
#include "base/error.h"
#include "base/text.h"
#include "huggingface/tensor_names.h"
#include "kernels/blocks.h"

namespace ropewalk::huggingface {
namespace {

using formats::GgufTensor;
using formats::SafeTensor;
using formats::SafeType;
using Bytes = std::span<const std::byte>;
using Shape = std::vector<int64_t>;

// A tensor and the file that has it.
struct Source {
  const SafeTensor* tensor = nullptr;
  const std::string* path = nullptr;
};

class Builder {
 public:
  Builder(const Description& model, formats::GgufContents& contents)
      : model_(model), contents_(contents) {}

  void Take(const Source& source) {
    const TensorPlace place = PlaceOf(source.tensor->name);
    if (place.layer && *place.layer >= model_.layers) {
      // DeepSeek's folders have layers that predict further tokens.
      if (model_.latent_width > 0) return;
      Fail(source, "is of a layer beyond num_hidden_layers = " +
                       std::to_string(model_.layers));
    }
    const auto part = GgufPart(place, *model_.family);
    if (!part) {
      Fail(source, "is not part of the family '" +
                       std::string(model_.family->model_type) +
                       "' as this build knows it");
    }
    if (*part == "output" && model_.tied) return;
    const std::string prefix =
        place.layer ? "blk." + std::to_string(*place.layer) + "." : "";
    if (place.index) {
      auto& pieces = numbered_[prefix + *part + place.suffix];
      if (!pieces.emplace(*place.index, source).second) {
        Fail(source, "appears twice");
      }
      return;
    }
    Arrange(prefix, *part, place.suffix, source);
  }

  // What can be arranged only when all tensors were seen.
  void Finish() {
    for (const auto& [name, pieces] : numbered_) Stack(name, pieces);
    for (const auto& [name, source] : blocks_) Mxfp4(name, source);
    Rope("rope_freqs.weight", model_.rotation.divisors);
    Rope("rope_factors_short.weight", model_.rotation.short_factors);
    Rope("rope_factors_long.weight", model_.rotation.long_factors);
    const bool has_output =
        std::any_of(contents_.tensors.begin(), contents_.tensors.end(),
                    [](const auto& t) { return t.name == "output.weight"; });
    if (model_.untied && !has_output) {
      throw FormatError(contents_.path, 0,
                        "tie_word_embeddings is false, but there is no tensor "
                        "'lm_head.weight'");
    }
  }

 private:
  [[noreturn]] static void Fail(const Source& source, const std::string& what) {
    throw FormatError(
        *source.path, 0,
        "tensor '" + Printable(source.tensor->name) + "' " + what);
  }

  static DType TypeOf(const Source& source) {
    switch (source.tensor->type) {
      case SafeType::kF32:
        return DType::kF32;
      case SafeType::kF16:
        return DType::kF16;
      case SafeType::kBf16:
        return DType::kBf16;
      default:
        Fail(source,
             "is of type " + std::string(InfoOf(source.tensor->type).name) +
                 "; known: F32, F16, BF16 (take the folder in bf16 or f16)");
    }
  }

  static void RequireDimensions(const Source& source, size_t dimensions) {
    if (source.tensor->shape.size() != dimensions ||
        source.tensor->elements == 0) {
      Fail(source, "must have " + std::to_string(dimensions) +
                       " dimensions, none of them 0");
    }
  }

  std::byte* NewBytes(int64_t size) {
    auto buffer = std::make_shared<AlignedBuffer<std::byte>>(size);
    contents_.owners.push_back(buffer);
    return buffer->data();
  }

  GgufTensor& Add(const std::string& name, DType type, Shape shape,
                  const Source* source) {
    GgufTensor tensor;
    tensor.name = name;
    tensor.type = type;
    tensor.type_name = std::string(InfoOf(type).name);
    tensor.shape = std::move(shape);
    tensor.path = source == nullptr ? contents_.path : *source->path;
    return contents_.tensors.emplace_back(std::move(tensor));
  }

  // A copy in memory of our own, to be filled.
  std::byte* AddCopy(const std::string& name, DType type, const Shape& shape,
                     const Source* source) {
    GgufTensor& tensor = Add(name, type, shape, source);
    const int64_t size = tensor.Rows() * RowBytes(type, tensor.Columns());
    std::byte* bytes = NewBytes(size);
    tensor.bytes = {bytes, static_cast<size_t>(size)};
    return bytes;
  }

  std::vector<float> Floats(const Source& source) {
    const SafeTensor& tensor = *source.tensor;
    std::vector<float> floats(static_cast<size_t>(tensor.elements));
    kernels::UnpackRow(TypeOf(source), Aligned(source).data(), tensor.elements,
                       floats.data());
    return floats;
  }

  void AddFloats(const std::string& name, const Shape& shape,
                 const std::vector<float>& floats, const Source* source) {
    std::byte* to = AddCopy(name, DType::kF32, shape, source);
    std::memcpy(to, floats.data(), floats.size() * sizeof(float));
  }

  // The tensor's bytes, copied if they do not lie as their type wants it.
  Bytes Aligned(const Source& source) {
    const SafeTensor& tensor = *source.tensor;
    const auto size = static_cast<uintptr_t>(InfoOf(tensor.type).bytes);
    if (reinterpret_cast<uintptr_t>(tensor.bytes.data()) % size == 0) {
      return tensor.bytes;
    }
    std::byte* copy = NewBytes(static_cast<int64_t>(tensor.bytes.size()));
    std::memcpy(copy, tensor.bytes.data(), tensor.bytes.size());
    return {copy, tensor.bytes.size()};
  }

  // Where row r of what GGUF stores is found among the rows here: those of a
  // head, as halves, become neighbours.
  int64_t NeighbourRow(int64_t r) const {
    const int64_t D = model_.head_width;
    const int64_t d = model_.rotary_width;
    const int64_t within = r % D;
    if (within >= d) return r;
    return r / D * D + within % 2 * (d / 2) + within / 2;
  }

  // GPT-NeoX keeps query, key and value of a head together; GGUF all queries
  // first.
  int64_t NeoxRow(int64_t r) const {
    const int64_t D = model_.head_width;
    const int64_t part = r / (D * model_.heads);
    const int64_t head = r / D % model_.heads;
    return (head * 3 + part) * D + r % D;
  }

  void Arrange(const std::string& prefix, const std::string& part,
               const std::string& suffix, const Source& source) {
    const std::string name = prefix + part + suffix;
    if (part == "attn_kv_b") return Latent(prefix, source);
    if (part == "exp_probs_b") return Vector(prefix + part + ".bias", source);
    if (part == "attn_sinks") return Vector(prefix + part + ".weight", source);
    if (part.starts_with("ffn_gate_up_") || part == "ffn_down_exps" ||
        part.starts_with("ffn_down_exps_")) {
      return FusedExperts(prefix, part, source);
    }
    if (source.tensor->shape.size() == 1) return Vector(name, source);
    Matrix(name, source);
  }

  bool IsReordered(const std::string& name) const {
    const auto is = [&](const char* part) {
      return name.find(part) != std::string::npos;
    };
    return model_.family->pairs_halves && (is(".attn_q.") || is(".attn_k."));
  }
  bool IsNeox(const std::string& name) const {
    return model_.family->architecture == "gptneox" &&
           name.find(".attn_qkv.") != std::string::npos;
  }

  // Rows must be whole heads before they are reordered.
  void RequireHeads(const Source& source, bool neox) const {
    const int64_t rows = source.tensor->shape.front();
    const int64_t D = model_.head_width;
    if (rows % D != 0 || (neox && rows != 3 * D * model_.heads)) {
      Fail(source, "has " + std::to_string(rows) +
                       " rows, which are not whole heads of width " +
                       std::to_string(D));
    }
  }

  void Vector(const std::string& name, const Source& source) {
    RequireDimensions(source, 1);
    std::vector<float> floats = Floats(source);
    if (model_.family->norms_plus_one && name.ends_with("norm.weight")) {
      for (float& value : floats) value += 1;
    }
    if (IsReordered(name) || IsNeox(name)) {
      RequireHeads(source, IsNeox(name));
      const std::vector<float> from = floats;
      for (size_t r = 0; r < floats.size(); ++r) {
        const auto row = static_cast<int64_t>(r);
        floats[r] = from[static_cast<size_t>(IsNeox(name) ? NeoxRow(row)
                                                          : NeighbourRow(row))];
      }
    }
    AddFloats(name, source.tensor->shape, floats, &source);
  }

  void Matrix(const std::string& name, const Source& source) {
    RequireDimensions(source, 2);
    const Bytes bytes = Aligned(source);
    const bool neox = IsNeox(name);
    const bool reordered = IsReordered(name);
    if (neox || reordered) RequireHeads(source, neox);
    GgufTensor& tensor =
        Add(name, TypeOf(source), source.tensor->shape, &source);
    if (!neox && !reordered) {
      tensor.bytes = bytes;
      return;
    }
    const auto row_bytes =
        static_cast<size_t>(RowBytes(*tensor.type, tensor.Columns()));
    for (int64_t r = 0; r < tensor.Rows(); ++r) {
      const int64_t from = neox ? NeoxRow(r) : NeighbourRow(r);
      tensor.pieces.push_back(
          bytes.subspan(static_cast<size_t>(from) * row_bytes, row_bytes));
    }
  }

  // Experts or norms that are kept one by one.
  void Stack(const std::string& name, const std::map<int64_t, Source>& pieces) {
    const Source& first = pieces.begin()->second;
    const auto count = static_cast<int64_t>(pieces.size());
    if (pieces.begin()->first != 0 || pieces.rbegin()->first != count - 1) {
      Fail(first, "is one of " + std::to_string(count) +
                      ", whose numbers do not run from 0");
    }
    for (const auto& [number, source] : pieces) {
      if (source.tensor->shape != first.tensor->shape ||
          source.tensor->type != first.tensor->type) {
        Fail(source, "has another shape or type than that of number 0");
      }
    }
    Shape shape = first.tensor->shape;
    shape.insert(shape.begin(), count);
    if (shape.size() == 2) {  // norms, one for each head
      std::vector<float> all;
      for (const auto& [number, source] : pieces) {
        const std::vector<float> floats = Floats(source);
        all.insert(all.end(), floats.begin(), floats.end());
      }
      return AddFloats(name, shape, all, &first);
    }
    RequireDimensions(first, 2);
    std::vector<Bytes> views;
    for (const auto& [number, source] : pieces) {
      views.push_back(Aligned(source));
    }
    Add(name, TypeOf(first), std::move(shape), &first).pieces =
        std::move(views);
  }

  // Projections that hold gate and up together, for each expert or for the one
  // that all tokens read.
  void FusedExperts(const std::string& prefix, const std::string& part,
                    const Source& source) {
    const bool oss = model_.family->architecture == "gpt-oss";
    if (part.ends_with("_blocks") || part.ends_with("_scales")) {
      blocks_[prefix + part] = source;
      return;
    }
    if (part == "ffn_gate_up_exps_bias" || part == "ffn_down_exps_bias") {
      return FusedBias(prefix, part, source);
    }
    if (part == "ffn_gate_up_shexp") {
      RequireDimensions(source, 2);
      return Halves(prefix, "_shexp", 1, source);
    }
    if (oss) return Transposed(prefix, part, source);
    RequireDimensions(source, 3);
    if (part == "ffn_gate_up_exps") {
      return Halves(prefix, "_exps", source.tensor->shape[0], source);
    }
    Add(prefix + part + ".weight", TypeOf(source), source.tensor->shape,
        &source)
        .bytes = Aligned(source);
  }

  // The first half of the rows of each matrix is its gate, the second its up.
  void Halves(const std::string& prefix, const std::string& suffix,
              int64_t count, const Source& source) {
    Shape shape = source.tensor->shape;
    int64_t& rows = shape[shape.size() - 2];
    if (rows % 2 != 0) Fail(source, "must have an even number of rows");
    rows /= 2;
    const Bytes bytes = Aligned(source);
    const size_t half = bytes.size() / static_cast<size_t>(2 * count);
    for (const bool up : {false, true}) {
      std::vector<Bytes> pieces;
      for (size_t m = 0; m < static_cast<size_t>(count); ++m) {
        pieces.push_back(bytes.subspan((2 * m + (up ? 1 : 0)) * half, half));
      }
      GgufTensor& tensor =
          Add(prefix + (up ? "ffn_up" : "ffn_gate") + suffix + ".weight",
              TypeOf(source), shape, &source);
      if (count == 1) {
        tensor.bytes = pieces.front();
      } else {
        tensor.pieces = std::move(pieces);
      }
    }
  }

  // Copies elements [count, rows, columns], each at `from(m, r, c)` of the
  // source.
  template <typename From>
  void AddElements(const std::string& name, Shape shape, const Source& source,
                   const From& from) {
    const DType type = TypeOf(source);
    const auto size = static_cast<size_t>(InfoOf(type).block_bytes);
    const std::byte* bytes = source.tensor->bytes.data();
    const int64_t count = shape[0];
    const int64_t rows = shape[1];
    const int64_t columns = shape[2];
    std::byte* to = AddCopy(name, type, shape, &source);
    for (int64_t m = 0; m < count; ++m) {
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t c = 0; c < columns; ++c, to += size) {
          std::memcpy(to, bytes + static_cast<size_t>(from(m, r, c)) * size,
                      size);
        }
      }
    }
  }

  // gpt-oss keeps [experts, in, out], and gate and up in alternating columns.
  void Transposed(const std::string& prefix, const std::string& part,
                  const Source& source) {
    RequireDimensions(source, 3);
    const Shape& shape = source.tensor->shape;
    const int64_t in = shape[1];
    const int64_t out = shape[2];
    const int64_t step = part == "ffn_gate_up_exps" ? 2 : 1;
    if (out % step != 0) Fail(source, "must have an even number of columns");
    for (int64_t half = 0; half < step; ++half) {
      const std::string name = step == 1   ? part
                               : half == 0 ? "ffn_gate_exps"
                                           : "ffn_up_exps";
      AddElements(prefix + name + ".weight", {shape[0], out / step, in}, source,
                  [=](int64_t m, int64_t r, int64_t c) {
                    return (m * in + c) * out + r * step + half;
                  });
    }
  }

  void FusedBias(const std::string& prefix, const std::string& part,
                 const Source& source) {
    RequireDimensions(source, 2);
    const int64_t count = source.tensor->shape[0];
    const int64_t width = source.tensor->shape[1];
    const std::vector<float> floats = Floats(source);
    if (part == "ffn_down_exps_bias") {
      return AddFloats(prefix + "ffn_down_exps.bias", source.tensor->shape,
                       floats, &source);
    }
    if (width % 2 != 0) Fail(source, "must have an even number of columns");
    for (const size_t half : {0, 1}) {
      std::vector<float> every_second;
      for (size_t at = half; at < floats.size(); at += 2) {
        every_second.push_back(floats[at]);
      }
      AddFloats(
          prefix + (half == 0 ? "ffn_gate_exps" : "ffn_up_exps") + ".bias",
          {count, width / 2}, every_second, &source);
    }
  }

  // gpt-oss in mxfp4: [experts, out, blocks, 16] with two elements a byte, the
  // first in the low half, and a scale for each block. GGUF has the scale in
  // front of its block, and in the low halves the first 16 elements.
  void Mxfp4(const std::string& name, const Source& source) {
    if (name.ends_with("_scales")) return;
    const std::string base =
        name.substr(0, name.size() - std::strlen("_blocks"));
    const auto scales = blocks_.find(base + "_scales");
    const Shape& shape = source.tensor->shape;
    const auto is_bytes = [](const Source& part, const Shape& want) {
      return part.tensor->type == SafeType::kU8 && part.tensor->shape == want;
    };
    if (shape.size() != 4 || shape[3] != 16 || !is_bytes(source, shape) ||
        scales == blocks_.end() ||
        !is_bytes(scales->second, {shape[0], shape[1], shape[2]})) {
      Fail(source,
           "must be bytes [experts, rows, blocks, 16] with a tensor of scales "
           "[experts, rows, blocks] beside it");
    }
    const bool both = base.ends_with("ffn_gate_up_exps");
    const int64_t step = both ? 2 : 1;
    if (shape[1] % step != 0) Fail(source, "must have an even number of rows");
    const std::string prefix = base.substr(0, base.find("ffn_"));
    for (int64_t half = 0; half < step; ++half) {
      const std::string part = !both       ? "ffn_down_exps"
                               : half == 0 ? "ffn_gate_exps"
                                           : "ffn_up_exps";
      const Shape out = {shape[0], shape[1] / step, shape[2] * 32};
      std::byte* to =
          AddCopy(prefix + part + ".weight", DType::kMxfp4, out, &source);
      for (int64_t row = 0; row < out[0] * out[1]; ++row) {
        for (int64_t b = 0; b < shape[2]; ++b, to += 17) {
          const auto at =
              static_cast<size_t>((row * step + half) * shape[2] + b);
          Block(source.tensor->bytes.data() + at * 16,
                scales->second.tensor->bytes[at], to);
        }
      }
    }
  }

  static void Block(const std::byte* pairs, std::byte scale, std::byte* to) {
    const auto element = [&](size_t e) {
      const std::byte pair = pairs[e / 2];
      return e % 2 == 0 ? pair & std::byte{15} : pair >> 4;
    };
    to[0] = scale;
    for (size_t i = 0; i < 16; ++i) {
      to[1 + i] = element(i) | (element(i + 16) << 4);
    }
  }

  // DeepSeek's kv_b_proj: for each head the rows that make the part of its keys
  // without rotation from the latent vector, then those that make its values.
  // GGUF has the first transposed, since they are multiplied with queries.
  void Latent(const std::string& prefix, const Source& source) {
    RequireDimensions(source, 2);
    const int64_t H = model_.heads;
    const int64_t nope = model_.unrotated_width;
    const int64_t value = model_.value_width;
    const int64_t lora = model_.latent_width;
    if (source.tensor->shape != Shape{H * (nope + value), lora}) {
      Fail(source, "must have " + std::to_string(H * (nope + value)) +
                       " rows of " + std::to_string(lora));
    }
    AddElements(prefix + "attn_k_b.weight", {H, lora, nope}, source,
                [=](int64_t m, int64_t r, int64_t c) {
                  return (m * (nope + value) + c) * lora + r;
                });
    const Bytes bytes = Aligned(source);
    GgufTensor& values = Add(prefix + "attn_v_b.weight", TypeOf(source),
                             {H, value, lora}, &source);
    const auto row_bytes = static_cast<size_t>(RowBytes(*values.type, lora));
    for (int64_t h = 0; h < H; ++h) {
      const auto first = static_cast<size_t>(h * (nope + value) + nope);
      values.pieces.push_back(bytes.subspan(
          first * row_bytes, static_cast<size_t>(value) * row_bytes));
    }
  }

  void Rope(const std::string& name, const std::vector<float>& numbers) {
    if (numbers.empty()) return;
    AddFloats(name, {static_cast<int64_t>(numbers.size())}, numbers, nullptr);
  }

  const Description& model_;
  formats::GgufContents& contents_;
  std::map<std::string, std::map<int64_t, Source>> numbered_;
  std::map<std::string, Source> blocks_;
};

}  // namespace

void AddTensors(
    const Description& model,
    const std::vector<std::shared_ptr<const formats::SafetensorsFile>>& files,
    formats::GgufContents& contents) {
  Builder builder(model, contents);
  for (const auto& file : files) {
    for (const SafeTensor& tensor : file->tensors()) {
      if (IsLeftOut(tensor.name, model)) continue;
      builder.Take({&tensor, &file->path()});
    }
    contents.owners.push_back(file);
    contents.maps.push_back(file->bytes());
    contents.file_bytes += static_cast<int64_t>(file->bytes().size());
  }
  builder.Finish();
}

}  // namespace ropewalk::huggingface
