#include "common.h"

#include <limits>
#include <stdexcept>

namespace ropewalk::python {

void CheckSignals() {
  const nb::gil_scoped_acquire gil;
  if (PyErr_CheckSignals() != 0) throw nb::python_error();
}

std::vector<Token> TokensOf(const std::vector<int64_t>& ids) {
  std::vector<Token> tokens;
  tokens.reserve(ids.size());
  for (const int64_t id : ids) {
    if (id < 0 || id > std::numeric_limits<Token>::max()) {
      throw std::invalid_argument(
          "a token id must be from 0 to 2147483647, got " + std::to_string(id));
    }
    tokens.push_back(static_cast<Token>(id));
  }
  return tokens;
}

KvType KvTypeOf(const std::string& name) {
  for (const KvType type : {KvType::kF32, KvType::kF16, KvType::kBF16,
                            KvType::kQ8_0, KvType::kQ4_0}) {
    if (NameOf(type) == name) return type;
  }
  throw std::invalid_argument(
      "kv_type must be f32, f16, bf16, q8_0 or q4_0, got '" + name + "'");
}

std::string NameOf(KvType type) {
  switch (type) {
    case KvType::kF32:
      return "f32";
    case KvType::kF16:
      return "f16";
    case KvType::kBF16:
      return "bf16";
    case KvType::kQ8_0:
      return "q8_0";
    case KvType::kQ4_0:
      return "q4_0";
  }
  return "";
}

ReadCallback ReadCallbackOf(const nb::object& progress) {
  // The caller's argument outlives the call, so a borrowed handle will do and
  // no reference is counted without the GIL.
  const nb::handle callback = progress;
  return [callback](int64_t read, int64_t all) {
    const nb::gil_scoped_acquire gil;
    if (PyErr_CheckSignals() != 0) throw nb::python_error();
    if (callback.is_none()) return true;
    const nb::object answer = callback(read, all);
    return answer.ptr() != Py_False;
  };
}

nb::str TextOf(std::string_view bytes) {
  PyObject* text = PyUnicode_DecodeUTF8(
      bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace");
  if (text == nullptr) throw nb::python_error();
  return nb::steal<nb::str>(text);
}

}  // namespace ropewalk::python
