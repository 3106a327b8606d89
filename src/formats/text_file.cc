#include "formats/text_file.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::formats {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
// Deflate packs a run of one byte 1032 times and text 3 to 20 times. Files that
// unpack to less than 256 MiB are harmless at any ratio.
constexpr size_t kMaxExpansion = 200;
constexpr size_t kFreeBytes = size_t{256} << 20;

// Read, not mapped, so that the text can come from a pipe such as <(zcat ...).
std::string ReadBytes(std::FILE* file, const std::string& name) {
  std::string bytes;
  for (;;) {
    const size_t before = bytes.size();
    bytes.resize(before + std::max(kChunkBytes, before / 2));
    const size_t count =
        std::fread(bytes.data() + before, 1, bytes.size() - before, file);
    const bool more = count == bytes.size() - before;
    if (!more && std::ferror(file) != 0) throw IoErrorFromErrno("read", name);
    bytes.resize(before + count);
    if (!more) return bytes;
  }
}

bool IsGzip(std::string_view bytes) {
  return bytes.size() >= 2 && bytes.substr(0, 2) == "\x1f\x8b";
}

// The state of zlib over `bytes`. zlib's counters have 32 bits, so input and
// output are passed in chunks and counted here.
class Inflater {
 public:
  Inflater(const std::string& path, std::string_view bytes)
      : path_(path), bytes_(bytes) {
    // 15 is the largest window; + 16 means gzip framing with its checksum.
    ROPEWALK_CHECK(inflateInit2(&stream_, 15 + 16) == Z_OK);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { inflateEnd(&stream_); }

  std::string Run() {
    do {
      RunMember();
    } while (NextMember());
    text_.resize(filled_);
    return std::move(text_);
  }

 private:
  FormatError Error(const std::string& what) const {
    return FormatError(path_, static_cast<int64_t>(used_), what);
  }

  void RunMember() {
    for (;;) {
      if (filled_ == text_.size()) Grow();
      const size_t room = std::min(text_.size() - filled_, kChunkBytes);
      const size_t input = std::min(bytes_.size() - used_, kChunkBytes);
      stream_.next_in =
          reinterpret_cast<Bytef*>(const_cast<char*>(bytes_.data() + used_));
      stream_.avail_in = static_cast<uInt>(input);
      stream_.next_out = reinterpret_cast<Bytef*>(text_.data() + filled_);
      stream_.avail_out = static_cast<uInt>(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      used_ += input - stream_.avail_in;
      filled_ += room - stream_.avail_out;
      if (status == Z_STREAM_END) return;
      if (status == Z_OK) continue;
      if (status == Z_BUF_ERROR && used_ == bytes_.size()) {
        throw Error("the gzip data ends early (interrupted download?)");
      }
      if (status == Z_MEM_ERROR) throw std::bad_alloc();
      throw Error("broken gzip data: " + std::string(stream_.msg != nullptr
                                                         ? stream_.msg
                                                         : "no progress"));
    }
  }

  // True if another member begins here. Zeros after the last member are
  // padding.
  bool NextMember() {
    const std::string_view rest = bytes_.substr(used_);
    if (IsGzip(rest)) {
      ROPEWALK_CHECK(inflateReset(&stream_) == Z_OK);
      return true;
    }
    if (rest.find_first_not_of('\0') == std::string_view::npos) return false;
    throw Error("bytes that are not gzip follow the gzip data");
  }

  void Grow() {
    if (filled_ > kFreeBytes && filled_ / kMaxExpansion > used_) {
      throw Error("unpacks to more than " + std::to_string(kMaxExpansion) +
                  " times its size, which a text does not");
    }
    text_.resize(filled_ + std::max(kChunkBytes, filled_ / 2));
  }

  const std::string& path_;
  std::string_view bytes_;
  std::string text_;
  size_t used_ = 0;    // of bytes_
  size_t filled_ = 0;  // of text_
  z_stream stream_{};
};

// Files that people take for texts, by the bytes that they begin with.
struct OtherKind {
  std::string_view begin;
  size_t at;
  std::string_view what;
  std::string_view advice;
};

constexpr std::string_view kUnpack = "unpack it and give the files in it";
constexpr OtherKind kOtherKinds[] = {
    {"ustar", 257, "a tar archive", kUnpack},
    {"PK\x03\x04", 0, "a zip archive (or .docx, .epub, .odt)",
     "unpack it, or save the document as text"},
    {"%PDF-", 0, "a PDF file", "pdftotext FILE.pdf makes a text of it"},
    {"\xfd"
     "7zXZ",
     0, "xz data", "xz -d unpacks it"},
    {"BZh", 0, "bzip2 data", "bzip2 -d unpacks it"},
    {"\x28\xb5\x2f\xfd", 0, "zstd data", "zstd -d unpacks it"},
    {"7z\xbc\xaf\x27\x1c", 0, "a 7z archive", kUnpack},
    {"Rar!", 0, "a RAR archive", kUnpack},
    {"GGUF", 0, "a model", "it goes behind -m"},
    {"\x7f"
     "ELF",
     0, "a program", "give a text"},
};

// "BZh" may begin a text too, so that only its digit and the block's mark make
// it bzip2; words such as "Rar!" and "GGUF" are followed by bytes no text has.
bool IsOtherKind(std::string_view text, const OtherKind& kind) {
  if (text.size() < kind.at + kind.begin.size() ||
      text.substr(kind.at, kind.begin.size()) != kind.begin) {
    return false;
  }
  if (kind.begin == "BZh") return text.substr(4, 3) == "1AY";
  if (kind.begin == "Rar!") return text.substr(4, 2) == "\x1a\x07";
  if (kind.begin == "GGUF")
    return text.substr(0, 64).find('\0') != std::string_view::npos;
  return true;
}

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

}  // namespace

std::string ReadTextFile(const std::string& path) {
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  if (file == nullptr) throw IoErrorFromErrno("read", path);
  return ReadText(file.get(), path);
}

std::string ReadText(std::FILE* file, const std::string& name) {
  std::string bytes = ReadBytes(file, name);
  if (!IsGzip(bytes)) return bytes;
  return Inflater(name, bytes).Run();
}

void RequireUtf8(const std::string& path, std::string_view text) {
  for (const OtherKind& kind : kOtherKinds) {
    if (!IsOtherKind(text, kind)) continue;
    throw FormatError(path, static_cast<int64_t>(kind.at),
                      "this is " + std::string(kind.what) +
                          " and not a text; " + std::string(kind.advice));
  }
  const std::optional<int64_t> bad = FindInvalidUtf8(text);
  if (!bad) return;
  const bool utf16 =
      text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff");
  throw FormatError(
      path, *bad,
      "not UTF-8 text: '" +
          Printable(text.substr(static_cast<size_t>(*bad), 4)) + "' (" +
          (utf16 ? "it looks like UTF-16: iconv -f UTF-16 -t UTF-8"
                 : "another encoding? try iconv -f LATIN1 -t UTF-8") +
          ")");
}

std::vector<std::vector<Token>> ReadIdsFile(const std::string& path) {
  const std::string text = ReadTextFile(path);
  std::vector<std::vector<Token>> documents;
  std::vector<Token> document;
  int64_t line = 1;
  size_t i = 0;
  while (i < text.size()) {
    if (text[i] == '\n') {
      if (!document.empty()) documents.push_back(std::move(document));
      document.clear();
      ++line;
      ++i;
      continue;
    }
    if (IsSpace(text[i])) {
      ++i;
      continue;
    }
    const size_t start = i;
    while (i < text.size() && text[i] != '\n' && !IsSpace(text[i])) ++i;
    const std::string_view word(text.data() + start, i - start);
    const std::optional<int64_t> id = ParseInt(word);
    if (!id || *id < 0 || *id > std::numeric_limits<Token>::max()) {
      throw FormatError(path, static_cast<int64_t>(start),
                        "line " + std::to_string(line) +
                            ": a token id must be an integer from 0 to "
                            "2147483647, got '" +
                            Printable(word, 40) + "'");
    }
    document.push_back(static_cast<Token>(*id));
  }
  if (!document.empty()) documents.push_back(std::move(document));
  return documents;
}

}  // namespace ropewalk::formats
