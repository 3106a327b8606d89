#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <ropewalk/model.h>

#include <cstdint>
#include <string>

#include "common.h"

namespace ropewalk::python {
namespace {

// A value of any kind that the public interface reads; None for other kinds and
// for no such key.
nb::object Metadata(const Model& model, const std::string& key) {
  const auto try_kind = [&](auto find) -> nb::object {
    try {
      const auto value = find();
      if (value) return nb::cast(*value);
    } catch (const std::runtime_error&) {  // a value of another kind
    }
    return nb::none();
  };
  nb::object value = try_kind([&] { return model.MetadataString(key); });
  if (value.is_none()) {
    value = try_kind([&] { return model.MetadataInteger(key); });
  }
  if (value.is_none()) {
    value = try_kind([&] { return model.MetadataNumber(key); });
  }
  return value;
}

}  // namespace

void BindModel(nb::module_& module) {
  nb::class_<Model>(module, "Model", "A model file, ready to work.")
      .def_static(
          "load",
          [](const std::string& path, int64_t threads, int64_t train_length,
             int64_t memory_limit, bool exact, bool lock_memory) {
            return Model::Load(path, {.train_length = train_length,
                                      .threads = threads,
                                      .memory_limit = memory_limit,
                                      .exact = exact,
                                      .lock_memory = lock_memory});
          },
          nb::arg("path"), nb::arg("threads"), nb::arg("train_length"),
          nb::arg("memory_limit"), nb::arg("exact"), nb::arg("lock_memory"),
          ReleaseGil())
      .def_prop_ro("name", &Model::name)
      .def_prop_ro("architecture", &Model::architecture)
      .def_prop_ro("layers", &Model::layers)
      .def_prop_ro("width", &Model::width)
      .def_prop_ro("vocabulary_size", &Model::vocabulary_size)
      .def_prop_ro("train_length", &Model::train_length)
      .def_prop_ro("weight_bytes", &Model::weight_bytes)
      .def_prop_ro("threads", &Model::threads)
      .def_prop_ro(
          "tokenizer",
          [](const Model& model) { return Tokenizer(model.tokenizer()); },
          ReleaseGil())
      .def_prop_ro("chat_form", &Model::chat_form)
      .def("metadata_keys", &Model::MetadataKeys)
      .def("metadata", &Metadata, nb::arg("key"));
}

}  // namespace ropewalk::python
