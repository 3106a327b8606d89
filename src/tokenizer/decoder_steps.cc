#include "tokenizer/decoder_steps.h"

#include <stdexcept>
#include <utility>

#include "base/error.h"
#include "tokenizer/byte_alphabet.h"
#include "tokenizer/spaces.h"
#include "tokenizer/step_json.h"
#include "tokenizer/step_pattern.h"
#include "tokenizer/vocabulary.h"

namespace ropewalk::tokenizer {
namespace {

void ReplaceAll(std::string_view what, std::string_view with,
                std::string* text) {
  for (size_t at = text->find(what); at != std::string::npos;
       at = text->find(what, at + with.size())) {
    text->replace(at, what.size(), with);
  }
}

// BERT's clean-up of a piece that follows a space.
void CleanUp(std::string* text) {
  constexpr std::pair<std::string_view, std::string_view> kChanges[] = {
      {" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
      {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
      {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [what, with] : kChanges) ReplaceAll(what, with, text);
}

// No token may become longer, in bytes.
constexpr size_t kMostBytes = 1 << 20;

void RequireSize(const std::string& text) {
  Require(text.size() <= kMostBytes,
          "Decode: the tokenizer's decoder makes more than 1 MiB of a token");
}

// Takes up to `left` and `right` copies of `content` from the ends.
void StripCopies(const std::string& content, int64_t left, int64_t right,
                 std::string* text) {
  for (; left > 0 && text->starts_with(content); --left) {
    text->erase(0, content.size());
  }
  for (; right > 0 && text->ends_with(content); --right) {
    text->resize(text->size() - content.size());
  }
}

}  // namespace

DecoderSteps::DecoderSteps(const formats::Metadata& metadata,
                           const formats::Json& decoder) {
  joins_with_spaces_ = decoder.is_null();
  bool fused = false;
  const auto alone = [&](const StepJson& step) {
    if (fused) throw step.Error("is not supported behind Fuse");
  };
  for (const StepJson& step :
       FlatSteps(metadata, decoder, "decoder", "decoders")) {
    const std::string& type = step.type();
    if (type == "ByteLevel") {
      steps_.push_back([](std::string* text, bool /*first*/) {
        std::string bytes;
        if (AppendSpelledBytes(*text, &bytes)) *text = std::move(bytes);
      });
      fused = true;
    } else if (type == "ByteFallback") {
      alone(step);
      steps_.push_back([](std::string* text, bool /*first*/) {
        const std::optional<unsigned char> byte = ByteOfPiece(*text);
        if (byte) *text = std::string(1, static_cast<char>(*byte));
      });
    } else if (type == "Fuse") {
      fused = true;
    } else if (type == "Strip") {
      const std::string content = step.String("content");
      const int64_t left = step.Int("start", 0, 1 << 16);
      const int64_t right = step.Int("stop", 0, 1 << 16);
      if (content.empty()) throw step.Error("field 'content' is empty");
      if (fused && (left > 1 || right > 0)) alone(step);
      steps_.push_back([=](std::string* text, bool first) {
        if (!fused || first) StripCopies(content, left, right, text);
      });
    } else if (type == "Replace") {
      alone(step);
      const StepPattern pattern(step);
      steps_.push_back([pattern, content = step.String("content")](
                           std::string* text, bool /*first*/) {
        std::string out;
        size_t done = 0;
        pattern.ForEachMatch(*text, [&](size_t begin, size_t end) {
          out.append(*text, done, begin - done);
          out += content;
          RequireSize(out);
          done = end;
        });
        out.append(*text, done);
        *text = std::move(out);
      });
    } else if (type == "Metaspace") {
      alone(step);
      const bool strips = step.String("prepend_scheme", "always") != "never" &&
                          step.Bool("add_prefix_space", true);
      const std::string mark =
          step.String("replacement", std::string(kSpaceMark));
      if (mark.empty()) throw step.Error("field 'replacement' is empty");
      steps_.push_back([strips, mark](std::string* text, bool first) {
        ReplaceAll(mark, first && strips ? "" : " ", text);
      });
    } else if (type == "WordPiece") {
      alone(step);
      steps_.push_back([inner = step.String("prefix", "##"),
                        cleanup = step.Bool("cleanup", true)](std::string* text,
                                                              bool first) {
        if (!first && text->starts_with(inner)) {
          text->erase(0, inner.size());
        } else if (!first) {
          text->insert(0, " ");
        }
        if (cleanup) CleanUp(text);
      });
    } else if (type == "BPEDecoder") {
      alone(step);
      suffix_ = step.String("suffix", "</w>");
    } else {
      throw step.Unknown();
    }
  }
  if (!suffix_.empty() && !steps_.empty()) {
    throw metadata.Error(kPipelineKey,
                         "decoder: BPEDecoder is not supported in a Sequence");
  }
}

std::string DecoderSteps::Bytes(std::string_view piece, bool first,
                                std::string_view previous) const {
  std::string text(piece);
  for (const Step& step : steps_) step(&text, first);
  if (joins_with_spaces_ && !first) text.insert(0, " ");
  if (!suffix_.empty()) {
    if (text.ends_with(suffix_)) text.resize(text.size() - suffix_.size());
    if (previous.ends_with(suffix_)) text.insert(0, " ");
  }
  return text;
}

}  // namespace ropewalk::tokenizer
