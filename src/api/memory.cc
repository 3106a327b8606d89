#include <ropewalk/memory.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "api/memory_parts.h"
#include "api/parts.h"
#include "base/error.h"
#include "memory/memory_file.h"

namespace ropewalk {

namespace {

KvType KvTypeOf(DType type) {
  switch (type) {
    case DType::kF32:
      return KvType::kF32;
    case DType::kBf16:
      return KvType::kBF16;
    case DType::kQ8_0:
      return KvType::kQ8_0;
    case DType::kQ4_0:
      return KvType::kQ4_0;
    default:
      return KvType::kF16;
  }
}

}  // namespace

DType DTypeOf(KvType type) {
  switch (type) {
    case KvType::kF32:
      return DType::kF32;
    case KvType::kF16:
      return DType::kF16;
    case KvType::kBF16:
      return DType::kBf16;
    case KvType::kQ8_0:
      return DType::kQ8_0;
    case KvType::kQ4_0:
      return DType::kQ4_0;
  }
  throw std::invalid_argument(
      "the type of keys and values must be a KvType, "
      "got " +
      std::to_string(static_cast<int>(type)));
}

bool Memory::Remember(const Model& model, std::span<const Token> document,
                      const std::string& path, const RememberOptions& options,
                      const ReadCallback& go_on) {
  struct Stopped {};
  engine::Engine& engine = *model.parts_->engine;
  const memory::ReadOptions read_options{
      .part = options.part == 0
                  ? std::min<int64_t>(2048, engine.positions().train_length)
                  : options.part,
      .overlap = options.overlap,
      .type = DTypeOf(options.kv_type)};
  const auto all = static_cast<int64_t>(document.size());
  int64_t read = 0;
  try {
    memory::Remember(
        engine,
        {options.name, options.source, {document.begin(), document.end()}},
        read_options, path, [&](int64_t count) {
          read += count;
          if (go_on && !go_on(read, all)) throw Stopped();
        });
  } catch (const Stopped&) {
    return false;
  }
  return true;
}

Memory Memory::Open(const Model& model, const std::string& path) {
  engine::Engine& engine = *model.parts_->engine;
  Parts parts{.read = memory::OpenMemory(path, engine),
              .engine = model.parts_->engine};
  const memory::TileSizes sizes = memory::TileSizesOf(engine, parts.read->type);
  for (const memory::Part& part : parts.read->parts) {
    for (const attention::MemoryPart& layer : part.layers) {
      parts.bytes +=
          static_cast<int64_t>(layer.keys.size()) * (sizes.key + sizes.value);
    }
  }
  return Memory(std::make_shared<const Parts>(std::move(parts)));
}

Memory::Memory(std::shared_ptr<const Parts> parts) : parts_(std::move(parts)) {}
Memory::Memory(const Memory&) = default;
Memory::Memory(Memory&&) noexcept = default;
Memory& Memory::operator=(const Memory&) = default;
Memory& Memory::operator=(Memory&&) noexcept = default;
Memory::~Memory() = default;

std::string Memory::name() const { return parts_->read->name; }
std::string Memory::source() const { return parts_->read->source; }
int64_t Memory::size() const {
  return static_cast<int64_t>(parts_->read->tokens.size());
}
int64_t Memory::parts() const {
  return static_cast<int64_t>(parts_->read->parts.size());
}
int64_t Memory::bytes() const { return parts_->bytes; }
KvType Memory::kv_type() const { return KvTypeOf(parts_->read->type); }

}  // namespace ropewalk
