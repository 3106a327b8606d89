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
