#include "jinja/text.h"

#include <algorithm>

namespace ropewalk::jinja {

std::vector<Text::Run>::const_iterator Text::RunAt(size_t at) const {
  return std::upper_bound(
      runs_.begin(), runs_.end(), at,
      [](size_t position, const Run& run) { return position < run.end; });
}

bool Text::IsInput(size_t at) const {
  const auto run = RunAt(at);
  return run != runs_.end() && run->from_input;
}

bool Text::HasInput() const {
  return std::any_of(runs_.begin(), runs_.end(),
                     [](const Run& run) { return run.from_input; });
}

Text Text::Slice(size_t begin, size_t end) const {
  Text part;
  part.Append(*this, begin, end);
  return part;
}

void Text::Append(std::string_view bytes, bool from_input) {
  if (bytes.empty()) return;
  bytes_ += bytes;
  if (!runs_.empty() && runs_.back().from_input == from_input) {
    runs_.back().end = bytes_.size();
  } else {
    runs_.push_back({bytes_.size(), from_input});
  }
}

void Text::Append(const Text& other, size_t begin, size_t end) {
  end = std::min(end, other.size());
  if (begin >= end) return;
  if (&other == this) {
    Append(Text(other), begin, end);
    return;
  }
  const std::string_view bytes = other.bytes_;
  for (auto run = other.RunAt(begin); begin < end; ++run) {
    const size_t stop = std::min(run->end, end);
    Append(bytes.substr(begin, stop - begin), run->from_input);
    begin = stop;
  }
}

std::vector<Piece> Text::Pieces() const {
  std::vector<Piece> pieces;
  size_t begin = 0;
  for (const Run& run : runs_) {
    pieces.push_back({bytes_.substr(begin, run.end - begin), run.from_input});
    begin = run.end;
  }
  return pieces;
}

}  // namespace ropewalk::jinja
