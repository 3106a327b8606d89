#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>
#include <ropewalk/tokenizer.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common.h"

namespace ropewalk::python {
namespace {

// The bytes of a str or bytes object, which keeps them.
std::string_view BytesOf(const nb::handle& text) {
  if (PyBytes_Check(text.ptr())) {
    char* data = nullptr;
    Py_ssize_t size = 0;
    if (PyBytes_AsStringAndSize(text.ptr(), &data, &size) != 0) {
      throw nb::python_error();
    }
    return {data, static_cast<size_t>(size)};
  }
  if (!PyUnicode_Check(text.ptr())) {
    throw nb::type_error("a text must be str or bytes");
  }
  Py_ssize_t size = 0;
  const char* data = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (data == nullptr) throw nb::python_error();
  return {data, static_cast<size_t>(size)};
}

}  // namespace

void BindTokenizer(nb::module_& module) {
  nb::class_<Tokenizer>(
      module, "Tokenizer",
      "Text to token ids and back, by the vocabulary of a model file. "
      "Immutable: any number of threads may use one object at a time.")
      .def_static("load", &Tokenizer::Load, nb::arg("path"), ReleaseGil(),
                  "The tokenizer of a GGUF file, without its weights.\n\n"
                  "Raises OSError, and FormatError for a file without a "
                  "vocabulary that is supported.")
      .def("__len__", &Tokenizer::size)
      .def(
          "encode",
          [](const Tokenizer& tokenizer, const nb::object& text,
             std::optional<bool> bos, std::optional<bool> eos, bool special) {
            const std::string_view bytes = BytesOf(text);
            const nb::gil_scoped_release release;
            return tokenizer.Encode(
                bytes, {.add_bos = bos, .add_eos = eos, .special = special});
          },
          nb::arg("text"), nb::kw_only(), nb::arg("bos") = nb::none(),
          nb::arg("eos") = nb::none(), nb::arg("special") = false,
          nb::sig("def encode(self, text: str | bytes, *, bos: bool | None = "
                  "None, eos: bool | None = None, special: bool = False) -> "
                  "list[int]"),
          "The ids of a text.\n\n"
          "bos, eos: put the begin token in front and the end token behind; "
          "None: as the file wants, which is right for the beginning of a "
          "text. Pass bos=False for a piece that goes on with a text.\n"
          "special: read control pieces such as <|im_start|> as the tokens "
          "that they name. Leave it off for text that you do not vouch for.\n\n"
          "Raises ValueError for a begin or end token that the vocabulary does "
          "not have.")
      .def(
          "decode",
          [](const Tokenizer& tokenizer, const std::vector<int64_t>& ids) {
            return TextOf(tokenizer.Decode(TokensOf(ids)));
          },
          nb::arg("ids"),
          "The text of a whole sequence; U+FFFD stands for characters cut in "
          "two. Control tokens are no text. Raises ValueError for an id out "
          "of range.")
      .def(
          "decode_bytes",
          [](const Tokenizer& tokenizer, const std::vector<int64_t>& ids) {
            const std::string bytes = tokenizer.Decode(TokensOf(ids));
            return nb::bytes(bytes.data(), bytes.size());
          },
          nb::arg("ids"), "The same as bytes, none replaced.")
      .def_prop_ro("bos", &Tokenizer::bos, "The begin token, or None.")
      .def_prop_ro("eos", &Tokenizer::eos, "The end token, or None.")
      .def("is_end_of_text", &Tokenizer::IsEndOfText, nb::arg("id"),
           "Whether generation stops at this token: the end token, or a mark "
           "that ends a turn.")
      .def("is_control", &Tokenizer::IsControl, nb::arg("id"),
           "Whether this token is no text.")
      .def(
          "piece",
          [](const Tokenizer& tokenizer, Token id) {
            return TextOf(tokenizer.Piece(id));
          },
          nb::arg("id"), "The token as the file spells it.")
      .def(
          "find",
          [](const Tokenizer& tokenizer, const std::string& piece) {
            return tokenizer.Find(piece);
          },
          nb::arg("piece"),
          "The first token that the file spells so, or None. Takes time in "
          "proportion to the vocabulary.");

  nb::class_<StreamDecoder>(
      module, "StreamDecoder",
      "Text of tokens as they come, never half a character.")
      .def(nb::init<const Tokenizer&, std::optional<Token>>(),
           nb::arg("tokenizer"), nb::arg("previous") = nb::none(),
           "previous: the token in front of the first, such as the last one "
           "of the prompt; None: the stream begins a text.")
      .def(
          "add",
          [](StreamDecoder& decoder, Token id) {
            return TextOf(decoder.Add(id));
          },
          nb::arg("id"), "The text that this token completes, often empty.")
      .def(
          "finish",
          [](StreamDecoder& decoder) { return TextOf(decoder.Finish()); },
          "What is still held back: a character cut short, or nothing.");
}

}  // namespace ropewalk::python
