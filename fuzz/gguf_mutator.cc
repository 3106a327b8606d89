#include "fuzz/gguf_mutator.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "formats/ggml_types.h"
#include "formats/gguf_metadata.h"
#include "fuzz/gguf_image.h"

// The mutation of libFuzzer, from its runtime.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace ropewalk::fuzz {
namespace {

using formats::GgufType;
using Key = GgufImage::Key;
using Tensor = GgufImage::Tensor;

constexpr auto kString = static_cast<uint32_t>(GgufType::kString);
constexpr auto kArray = static_cast<uint32_t>(GgufType::kArray);

// Keys that readers of models look for. Those that begin with a dot follow the
// name of the architecture.
constexpr std::string_view kKeys[] = {
    ".attention.causal",
    ".attention.clamp_kqv",
    ".attention.head_count",
    ".attention.head_count_kv",
    ".attention.key_length",
    ".attention.key_length_swa",
    ".attention.layer_norm_epsilon",
    ".attention.layer_norm_rms_epsilon",
    ".attention.max_alibi_bias",
    ".attention.scale",
    ".attention.shared_kv_layers",
    ".attention.sliding_window",
    ".attention.sliding_window_pattern",
    ".attention.temperature_length",
    ".attention.temperature_scale",
    ".attention.value_length",
    ".attn_logit_softcapping",
    ".block_count",
    ".context_length",
    ".embedding_length",
    ".embedding_scale",
    ".expert_count",
    ".feed_forward_length",
    ".final_logit_softcapping",
    ".leading_dense_block_count",
    ".logit_scale",
    ".nextn_predict_layers",
    ".residual_scale",
    ".rope.dimension_count",
    ".rope.dimension_sections",
    ".rope.freq_base",
    ".rope.freq_base_swa",
    ".rope.scale_linear",
    ".rope.scaling.attn_factor",
    ".rope.scaling.factor",
    ".rope.scaling.finetuned",
    ".rope.scaling.original_context_length",
    ".rope.scaling.type",
    ".rope.scaling.yarn_attn_factor",
    ".rope.scaling.yarn_beta_fast",
    ".rope.scaling.yarn_beta_slow",
    ".rope.scaling.yarn_ext_factor",
    ".rope.scaling.yarn_log_multiplier",
    ".tensor_data_layout",
    ".use_parallel_residual",
    ".vocab_size",
    "fuzz.text",
    "general.alignment",
    "general.architecture",
    "general.name",
    "ropewalk.attention.key_norm",
    "ropewalk.block",
    "ropewalk.gau.expansion",
    "ropewalk.gau.key_length",
    "ropewalk.position",
    "ropewalk.train_length",
    "split.count",
    "split.no",
    "split.tensors.count",
    "tokenizer.chat_template",
    "tokenizer.ggml.add_bos_token",
    "tokenizer.ggml.add_eos_token",
    "tokenizer.ggml.add_sep_token",
    "tokenizer.ggml.add_space_prefix",
    "tokenizer.ggml.bos_token_id",
    "tokenizer.ggml.eom_token_id",
    "tokenizer.ggml.eos_token_id",
    "tokenizer.ggml.eot_token_id",
    "tokenizer.ggml.ignore_merges",
    "tokenizer.ggml.merges",
    "tokenizer.ggml.model",
    "tokenizer.ggml.normalizer.lowercase",
    "tokenizer.ggml.padding_token_id",
    "tokenizer.ggml.pre",
    "tokenizer.ggml.precompiled_charsmap",
    "tokenizer.ggml.remove_extra_whitespaces",
    "tokenizer.ggml.scores",
    "tokenizer.ggml.token_type",
    "tokenizer.ggml.tokens",
    "tokenizer.ggml.unknown_token_id",
    ".expert_used_count",
    ".expert_gating_func",
    ".expert_weights_norm",
    ".expert_weights_scale",
    ".expert_feed_forward_length",
    ".expert_shared_feed_forward_length",
    ".rope.dimension_count_swa",
    "ropewalk.position_trained",
};

constexpr std::string_view kStrings[] = {
    "",
    "auto",
    "bert",
    "chatglm-bpe",
    "cohere",
    "cohere2",
    "command-r",
    "deepseek-coder",
    "deepseek-llm",
    "default",
    "exaone4",
    "falcon",
    "gau",
    "gemma",
    "gemma2",
    "gemma3",
    "gemma4",
    "glm4",
    "gpt-2",
    "gpt-4o",
    "gpt2",
    "gptneox",
    "granite",
    "linear",
    "llama",
    "llama-bpe",
    "llama3",
    "longrope",
    "mistral",
    "mpt",
    "none",
    "nope",
    "olmo",
    "olmo2",
    "phi2",
    "phi3",
    "qwen2",
    "qwen3",
    "rerope:window=4",
    "ropewalk",
    "rope",
    "rwkv",
    "self-extend",
    "sink-window:size=4,sinks=1",
    "smollm",
    "smollm3",
    "stablelm",
    "starcoder2",
    "superbpe",
    "t5",
    "tekken",
    "window:size=2",
    "yarn",
    "\xe2\x96\x81",
    "\xe2\x96\x81\xe2\x96\x81",
    "<0x0A>",
    "\xc4\xa0",
    "a b",
    "<|im_start|>",
    "<s>",
    "\xff",
    "\xed\xa0\x80",
    "olmoe",
    "qwen2moe",
    "qwen3moe",
    "inv-leaky:window=2",
    "hwfa",
};

constexpr double kFloats[] = {0,   -0.0,  1,    -1,   1e-5, 0.5,   2,    1e4,
                              1e6, 1e-30, 1e30, -1e9, 8,    1e308, 1e-9, 0.1};

class Mutator {
 public:
  explicit Mutator(unsigned seed) : random_(seed) {}

  uint64_t Below(uint64_t bound) { return bound == 0 ? 0 : random_() % bound; }
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  template <typename T>
  auto& Any(T&& list) {
    return list[Below(std::size(list))];
  }

  void Mutate(GgufImage& image) {
    switch (Below(image.tensors.empty() ? 10 : 16)) {
      case 0:
        RemoveFrom(image.keys);
        break;
      case 1:
        Duplicate(image.keys);
        break;
      case 2:
      case 3:
        AddKey(image);
        break;
      case 4:
        ChangeArchitecture(image);
        break;
      case 5:
      case 6:
      case 7:
      case 8:
      case 9:
        if (!image.keys.empty()) ChangeKey(image, Any(image.keys));
        break;
      case 10:
        RemoveFrom(image.tensors);
        break;
      case 11:
        Duplicate(image.tensors);
        break;
      case 12:
        if (image.data.empty() || OneIn(2)) {
          ChangeShapesTogether(image);
        } else {
          MutateText(image.data, image.data.size() + 64);
        }
        break;
      default:
        ChangeTensor(image, Any(image.tensors));
        break;
    }
    if (!OneIn(4)) image.PlaceTensors();
  }

  // Makes a count or a length wrong.
  void Lie(std::string& bytes, const std::vector<size_t>& lengths) {
    if (lengths.empty()) return;
    const size_t at = Any(lengths);
    uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(value));
    value = Integer(value);
    std::memcpy(bytes.data() + at, &value, sizeof(value));
  }

  void Cross(GgufImage& image, GgufImage other) {
    const std::string from = Architecture(other);
    const std::string to = Architecture(image);
    for (Key& key : other.keys) {
      if (!OneIn(4)) continue;
      if (!from.empty() && key.name.starts_with(from + ".")) {
        key.name = to + key.name.substr(from.size());
      }
      Put(image, std::move(key));
    }
    for (Tensor& tensor : other.tensors) {
      if (OneIn(8)) image.tensors.push_back(std::move(tensor));
    }
    image.PlaceTensors();
  }

 private:
  template <typename T>
  void RemoveFrom(std::vector<T>& list) {
    if (list.empty()) return;
    list.erase(list.begin() + static_cast<std::ptrdiff_t>(Below(list.size())));
  }
  template <typename T>
  void Duplicate(std::vector<T>& list) {
    if (list.empty()) return;
    T copy = Any(list);
    if (!OneIn(4)) MutateText(copy.name, copy.name.size() + 8);
    list.insert(list.begin() + static_cast<std::ptrdiff_t>(Below(list.size())),
                std::move(copy));
  }

  static std::string Architecture(GgufImage& image) {
    const Key* key = image.Find("general.architecture");
    return key == nullptr ? "" : key->bytes;
  }

  static void Put(GgufImage& image, Key key) {
    if (Key* old = image.Find(key.name)) {
      *old = std::move(key);
    } else {
      image.keys.push_back(std::move(key));
    }
  }

  void MutateText(std::string& text, size_t max_size) {
    std::vector<uint8_t> bytes(std::max<size_t>(max_size, 1));
    const size_t size = std::min(text.size(), bytes.size());
    std::memcpy(bytes.data(), text.data(), size);
    text.assign(bytes.begin(),
                bytes.begin() + static_cast<std::ptrdiff_t>(LLVMFuzzerMutate(
                                    bytes.data(), size, bytes.size())));
  }

  uint64_t Integer(uint64_t value) {
    switch (Below(8)) {
      case 0:
        return value + 1;
      case 1:
        return value - 1;
      case 2:
        return value * 2;
      case 3:
        return value / 2;
      case 4:
        return Below(17);
      case 5:
        return (uint64_t{1} << Below(64)) - Below(3) + 1;
      case 6:
        return -(uint64_t{1} << Below(64));
      default:
        return value ^ (uint64_t{1} << Below(64));
    }
  }

  template <typename T>
  void Store(std::string& bytes, size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof(T));
  }

  // Changes the number of `type` at `at`.
  void ChangeNumber(std::string& bytes, size_t at, GgufType type) {
    const auto width = static_cast<size_t>(formats::GgufTypeBytes(type));
    if (width == 0 || at + width > bytes.size()) return;
    if (type == GgufType::kFloat32 || type == GgufType::kFloat64) {
      double value = Any(kFloats);
      if (OneIn(16)) value = std::numeric_limits<double>::quiet_NaN();
      if (OneIn(16)) value = std::numeric_limits<double>::infinity();
      if (type == GgufType::kFloat64) {
        Store(bytes, at, value);
      } else {
        // Converting 1e308 to float would be undefined.
        Store(bytes, at,
              static_cast<float>(
                  std::clamp(value, -double{std::numeric_limits<float>::max()},
                             double{std::numeric_limits<float>::max()})));
        if (OneIn(16)) Store(bytes, at, static_cast<uint32_t>(random_()));
      }
      return;
    }
    uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, width);
    value = Integer(value);
    std::memcpy(bytes.data() + at, &value, width);
  }

  void ChangeArray(Key& key) {
    const auto type = static_cast<GgufType>(key.element_type);
    if (type == GgufType::kString) {
      switch (key.strings.empty() ? 2 : Below(6)) {
        case 0:
          RemoveString(key);
          break;
        case 1:
          key.strings.push_back(Any(key.strings));
          break;
        case 2:
          key.strings.emplace_back(Any(kStrings));
          break;
        case 3:
          std::swap(Any(key.strings), Any(key.strings));
          break;
        default: {
          std::string& text = Any(key.strings);
          MutateText(text, text.size() + 8);
        }
      }
      return;
    }
    const auto width = static_cast<size_t>(formats::GgufTypeBytes(type));
    if (width == 0) return;
    const size_t count = key.bytes.size() / width;
    switch (Below(6)) {
      case 0:
        key.bytes.resize(width * Below(count + 1));
        break;
      case 1:
        key.bytes += key.bytes.substr(0, width);
        break;
      default:
        ChangeNumber(key.bytes, width * Below(count), type);
    }
  }

  void RemoveString(Key& key) {
    key.strings.erase(key.strings.begin() +
                      static_cast<std::ptrdiff_t>(Below(key.strings.size())));
  }

  // Makes a value of `type` for a key that had another type.
  void NewValue(Key& key, uint32_t type) {
    key.type = type;
    key.element_type = type;
    key.bytes.clear();
    key.strings.clear();
    if (type == kString) {
      key.bytes = Any(kStrings);
      return;
    }
    if (type == kArray) {
      key.element_type = static_cast<uint32_t>(Below(13));
      if (key.element_type == kArray) key.element_type = kString;
      const size_t count = Below(20);
      for (size_t i = 0; i < count && key.element_type == kString; ++i) {
        key.strings.emplace_back(Any(kStrings));
      }
      const auto width = static_cast<size_t>(
          formats::GgufTypeBytes(static_cast<GgufType>(key.element_type)));
      key.bytes.resize(width * count);
      for (size_t i = 0; i < count; ++i) {
        ChangeNumber(key.bytes, i * width,
                     static_cast<GgufType>(key.element_type));
      }
      return;
    }
    key.bytes.resize(static_cast<size_t>(
        formats::GgufTypeBytes(static_cast<GgufType>(type))));
    if (type == static_cast<uint32_t>(GgufType::kBool)) {
      key.bytes[0] = static_cast<char>(Below(2));
    } else {
      ChangeNumber(key.bytes, 0, static_cast<GgufType>(type));
    }
  }

  void AddKey(GgufImage& image) {
    Key key;
    key.name = Any(kKeys);
    if (key.name.front() == '.') key.name = Architecture(image) + key.name;
    constexpr uint32_t kUsual[] = {4, 5, 6, 7, kString, kArray};
    NewValue(key, OneIn(4) ? static_cast<uint32_t>(Below(13)) : Any(kUsual));
    Put(image, std::move(key));
  }

  void ChangeKey(GgufImage& image, Key& key) {
    if (OneIn(16)) return MutateText(key.name, key.name.size() + 8);
    if (OneIn(16)) return NewValue(key, static_cast<uint32_t>(Below(13)));
    if (OneIn(16)) {
      key.name = Any(kKeys);
      if (key.name.front() == '.') key.name = Architecture(image) + key.name;
      return;
    }
    if (key.type == kArray) return ChangeArray(key);
    if (key.type != kString) {
      return ChangeNumber(key.bytes, 0, static_cast<GgufType>(key.type));
    }
    if (OneIn(3)) {
      key.bytes = Any(kStrings);
    } else {
      MutateText(key.bytes, key.bytes.size() + 32);
    }
  }

  // Changes the architecture and keeps keys and tensors.
  void ChangeArchitecture(GgufImage& image) {
    const std::string from = Architecture(image);
    const std::string to(Any(kStrings));
    if (from.empty()) return;
    for (Key& key : image.keys) {
      if (key.name == "general.architecture") key.bytes = to;
      if (key.name.starts_with(from + ".")) {
        key.name = to + key.name.substr(from.size());
      }
    }
  }

  void ChangeTensor(GgufImage& image, Tensor& tensor) {
    switch (Below(6)) {
      case 0:
        MutateText(tensor.name, tensor.name.size() + 8);
        break;
      case 1:
        tensor.type = OneIn(8) ? static_cast<uint32_t>(Integer(tensor.type))
                               : Any(formats::AllGgmlTypes()).id;
        break;
      case 2:
        tensor.offset = Integer(tensor.offset);
        break;
      case 3:
        tensor.name = Any(image.tensors).name;
        break;
      case 4:
        if (tensor.ne.size() > 1 && OneIn(2)) {
          tensor.ne.pop_back();
        } else {
          tensor.ne.push_back(1 + Below(3));
        }
        break;
      default:
        if (!tensor.ne.empty()) {
          uint64_t& size = Any(tensor.ne);
          size = Integer(size);
        }
    }
  }

  // Changes every size `from` to `to`, in keys and in tensors, which gives a
  // consistent model of another width.
  void ChangeShapesTogether(GgufImage& image) {
    const Tensor& model = Any(image.tensors);
    if (model.ne.empty()) return;
    const uint64_t from = Any(model.ne);
    const uint64_t to = OneIn(2) ? 1 + Below(64) : Integer(from);
    for (Tensor& tensor : image.tensors) {
      for (uint64_t& size : tensor.ne) {
        if (size == from) size = to;
      }
    }
    for (Key& key : image.keys) {
      uint32_t value = 0;
      if (key.type != static_cast<uint32_t>(GgufType::kUint32) ||
          key.bytes.size() != sizeof(value)) {
        continue;
      }
      std::memcpy(&value, key.bytes.data(), sizeof(value));
      if (value == from) Store(key.bytes, 0, static_cast<uint32_t>(to));
    }
  }

  std::mt19937_64 random_;
};

size_t Copy(const std::string& bytes, uint8_t* out, size_t max_size) {
  const size_t size = std::min(bytes.size(), max_size);
  std::memcpy(out, bytes.data(), size);
  return size;
}

std::string_view View(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace

size_t MutateGguf(uint8_t* data, size_t size, size_t max_size, unsigned seed) {
  Mutator mutator(seed);
  std::optional<GgufImage> image = GgufImage::Parse(View(data, size));
  if (!image || mutator.OneIn(16)) {
    return LLVMFuzzerMutate(data, size, max_size);
  }
  const uint64_t changes = 1 + mutator.Below(3);
  for (uint64_t i = 0; i < changes; ++i) mutator.Mutate(*image);
  std::vector<size_t> lengths;
  std::string bytes = image->Bytes(&lengths);
  if (mutator.OneIn(16)) mutator.Lie(bytes, lengths);
  return Copy(bytes, data, max_size);
}

size_t CrossGguf(const uint8_t* data, size_t size, const uint8_t* other,
                 size_t other_size, uint8_t* out, size_t max_size,
                 unsigned seed) {
  Mutator mutator(seed);
  std::optional<GgufImage> image = GgufImage::Parse(View(data, size));
  std::optional<GgufImage> second = GgufImage::Parse(View(other, other_size));
  if (!image || !second)
    return Copy(std::string(View(data, size)), out, max_size);
  mutator.Cross(*image, *std::move(second));
  return Copy(image->Bytes(), out, max_size);
}

}  // namespace ropewalk::fuzz
