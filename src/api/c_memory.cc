// The C interface: memories.

#include <string>
#include <utility>
#include <vector>

#include "api/c_parts.h"

using ropewalk::c::Guard;
using ropewalk::c::SpanOf;

int ropewalk_remember(const ropewalk_model* model, const int32_t* tokens,
                      size_t count, const char* path, const char* name,
                      const char* source, int64_t part, int64_t overlap,
                      ropewalk_kv_type type, ropewalk_read_callback go_on,
                      void* context, char** error) {
  return Guard<int>(error, 0, [&] {
    ropewalk::ReadCallback callback;
    if (go_on != nullptr) {
      callback = [&](int64_t read, int64_t all) {
        return go_on(context, read, all) != 0;
      };
    }
    const bool written = ropewalk::Memory::Remember(
        model->model, SpanOf(tokens, count), path,
        {.name = name,
         .source = source,
         .part = part,
         .overlap = overlap,
         .kv_type = static_cast<ropewalk::KvType>(type)},
        callback);
    return written ? 1 : 0;
  });
}

ropewalk_memory* ropewalk_memory_open(const ropewalk_model* model,
                                      const char* path, char** error) {
  return Guard<ropewalk_memory*>(error, nullptr, [&] {
    ropewalk::Memory memory = ropewalk::Memory::Open(model->model, path);
    std::string name = memory.name();
    return new ropewalk_memory{std::move(memory), std::move(name)};
  });
}

void ropewalk_memory_destroy(ropewalk_memory* memory) { delete memory; }

const char* ropewalk_memory_name(const ropewalk_memory* memory) {
  return memory->name.c_str();
}

int64_t ropewalk_memory_size(const ropewalk_memory* memory) {
  return memory->memory.size();
}

int64_t ropewalk_memory_bytes(const ropewalk_memory* memory) {
  return memory->memory.bytes();
}

int ropewalk_session_attach(ropewalk_session* session,
                            const ropewalk_memory* const* memories,
                            size_t count, const char* law, char** error) {
  return Guard<int>(error, 0, [&] {
    std::vector<ropewalk::Memory> all;
    for (size_t m = 0; m < count; ++m) all.push_back(memories[m]->memory);
    session->session.Attach(all, law == nullptr ? "far" : law);
    return 1;
  });
}
