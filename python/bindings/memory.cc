#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <ropewalk/memory.h>

#include <string>
#include <vector>

#include "common.h"

namespace ropewalk::python {

void BindMemory(nb::module_& module) {
  nb::class_<Memory>(
      module, "Memory",
      "Keys and values of a document that was read once, kept in a file.")
      .def_static(
          "remember",
          [](const Model& model, const std::vector<int64_t>& document,
             const std::string& path, const std::string& name,
             const std::string& source, int64_t part, int64_t overlap,
             const std::string& kv_type, const nb::object& progress) {
            const std::vector<Token> tokens = TokensOf(document);
            const ReadCallback go_on = ReadCallbackOf(progress);
            const nb::gil_scoped_release release;
            return Memory::Remember(model, tokens, path,
                                    {.name = name,
                                     .source = source,
                                     .part = part,
                                     .overlap = overlap,
                                     .kv_type = ParseKvType(kv_type)},
                                    go_on);
          },
          nb::arg("model"), nb::arg("document"), nb::arg("path"),
          nb::arg("name"), nb::arg("source"), nb::arg("part"),
          nb::arg("overlap"), nb::arg("kv_type"), nb::arg("progress").none())
      .def_static("open", &Memory::Open, nb::arg("model"), nb::arg("path"),
                  ReleaseGil())
      .def_prop_ro("name", &Memory::name)
      .def_prop_ro("source", &Memory::source)
      .def_prop_ro("size", &Memory::size)
      .def_prop_ro("parts", &Memory::parts)
      .def_prop_ro("bytes", &Memory::bytes)
      .def_prop_ro("kv_type", [](const Memory& memory) {
        return std::string(NameOf(memory.kv_type()));
      });
}

}  // namespace ropewalk::python
