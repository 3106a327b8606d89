#include "lab/data/token_file.h"

#include <zlib.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/text.h"

namespace ropewalk::lab::data {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr char kMagic[] = "RWTOKENS";
constexpr char kFooterMagic[] = "RWINDEX1";
constexpr uint32_t kVersion = 1;

struct Header {
  char magic[8];
  uint32_t version;
  uint32_t id_bytes;
  int64_t vocabulary;
  uint64_t tokenizer;
  uint64_t corpus;
  uint64_t zeros[3];
};
static_assert(sizeof(Header) == 64);

struct Footer {
  char magic[8];
  int64_t tokens;
  int64_t documents;
  int64_t names_bytes;
  uint32_t ids_crc;
  uint32_t index_crc;
  uint32_t footer_crc;
  uint32_t zero;
};
static_assert(sizeof(Footer) == 48);

int64_t Padding(int64_t bytes) { return (8 - bytes % 8) % 8; }

int64_t IdBytes(int64_t V) { return V <= 65536 ? 2 : 4; }

uint32_t Crc32(uint32_t crc, const void* bytes, size_t size) {
  if (size == 0) return crc;  // zlib takes a null pointer for a fresh start
  return static_cast<uint32_t>(
      crc32_z(crc, static_cast<const Bytef*>(bytes), size));
}

template <typename T>
std::string_view BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(T)};
}

template <typename T>
std::string_view BytesOf(const T& value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

uint32_t CrcOf(const Footer& footer) {
  return Crc32(0, &footer, offsetof(Footer, footer_crc));
}

}  // namespace

TokenFileWriter::TokenFileWriter(const std::string& path,
                                 const TokenFileKey& key)
    : file_(path), key_(key), id_bytes_(IdBytes(key.vocabulary)) {
  Require(key.vocabulary > 0, "a token file needs a vocabulary, got " +
                                  std::to_string(key.vocabulary));
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof(header.magic));
  header.version = kVersion;
  header.id_bytes = static_cast<uint32_t>(id_bytes_);
  header.vocabulary = key.vocabulary;
  header.tokenizer = key.tokenizer;
  header.corpus = key.corpus;
  Write(BytesOf(header), &index_crc_);
}

void TokenFileWriter::Write(std::string_view bytes, uint32_t* crc) {
  *crc = Crc32(*crc, bytes.data(), bytes.size());
  file_.Write(bytes);
}

void TokenFileWriter::Add(std::string_view name, uint64_t text_fingerprint,
                          std::span<const Token> ids) {
  for (const Token id : ids) {
    Require(id >= 0 && id < key_.vocabulary,
            "token file: id " + std::to_string(id) +
                " is outside the vocabulary of " +
                std::to_string(key_.vocabulary));
  }
  if (id_bytes_ == 2) {
    const std::vector<uint16_t> narrow(ids.begin(), ids.end());
    Write(BytesOf(narrow), &ids_crc_);
  } else {
    Write({reinterpret_cast<const char*>(ids.data()), ids.size_bytes()},
          &ids_crc_);
  }
  begins_.push_back(begins_.back() + static_cast<int64_t>(ids.size()));
  fingerprints_.push_back(text_fingerprint);
  name_bytes_.push_back(static_cast<uint32_t>(name.size()));
  names_ += name;
}

void TokenFileWriter::Finish() {
  const auto pad = [](int64_t bytes) {
    return std::string(static_cast<size_t>(Padding(bytes)), '\0');
  };
  Write(pad(begins_.back() * id_bytes_), &ids_crc_);
  Write(BytesOf(begins_), &index_crc_);
  Write(BytesOf(fingerprints_), &index_crc_);
  Write(BytesOf(name_bytes_), &index_crc_);
  Write(names_, &index_crc_);
  Write(pad(static_cast<int64_t>(4 * name_bytes_.size() + names_.size())),
        &index_crc_);
  Footer footer{};
  std::memcpy(footer.magic, kFooterMagic, sizeof(footer.magic));
  footer.tokens = begins_.back();
  footer.documents = static_cast<int64_t>(fingerprints_.size());
  footer.names_bytes = static_cast<int64_t>(names_.size());
  footer.ids_crc = ids_crc_;
  footer.index_crc = index_crc_;
  footer.footer_crc = CrcOf(footer);
  file_.Write(BytesOf(footer));
  file_.Commit();
}

TokenFile::TokenFile(const std::string& path) : file_(path) {
  const std::span<const std::byte> bytes = file_.bytes();
  const auto size = static_cast<int64_t>(bytes.size());
  const auto error = [&](int64_t at, const std::string& what) {
    return FormatError(path, at, "token file: " + what);
  };
  Header header;
  Footer footer;
  constexpr int64_t kFrame = sizeof(Header) + sizeof(Footer);
  if (size < kFrame) {
    throw error(size, "it ends within the header (cut short?)");
  }
  std::memcpy(&header, bytes.data(), sizeof(header));
  std::memcpy(&footer, bytes.data() + size - sizeof(footer), sizeof(footer));
  if (std::memcmp(header.magic, kMagic, sizeof(header.magic)) != 0) {
    throw error(0, "it does not begin with RWTOKENS");
  }
  if (header.version != kVersion) {
    throw error(8, "version " + std::to_string(header.version) +
                       " is not supported; supported: 1");
  }
  if (header.vocabulary <= 0 || header.id_bytes != IdBytes(header.vocabulary)) {
    throw error(12, "ids of " + std::to_string(header.id_bytes) +
                        " bytes do not fit a vocabulary of " +
                        std::to_string(header.vocabulary));
  }
  if (std::memcmp(footer.magic, kFooterMagic, sizeof(footer.magic)) != 0 ||
      footer.footer_crc != CrcOf(footer)) {
    throw error(size, "it does not end with its index (cut short?)");
  }
  key_ = {header.vocabulary, header.tokenizer, header.corpus};
  id_bytes_ = header.id_bytes;
  tokens_ = footer.tokens;
  ids_crc_ = footer.ids_crc;
  // Each count is bounded by the size first, so nothing below overflows.
  const int64_t D = footer.documents;
  const int64_t names_bytes = footer.names_bytes;
  if (tokens_ < 0 || tokens_ > size || D < 0 || D > size || names_bytes < 0 ||
      names_bytes > size) {
    throw error(size, "its counts are larger than the file");
  }
  const int64_t ids_end = static_cast<int64_t>(sizeof(header)) +
                          tokens_ * id_bytes_ + Padding(tokens_ * id_bytes_);
  const int64_t tail = 4 * D + names_bytes;
  const int64_t index_bytes = 8 * (D + 1) + 8 * D + tail + Padding(tail);
  if (ids_end + index_bytes + static_cast<int64_t>(sizeof(footer)) != size) {
    throw error(size, "its parts do not add up to its size");
  }
  const std::byte* at = bytes.data() + ids_end;
  const uint32_t crc = Crc32(Crc32(0, &header, sizeof(header)), at,
                             static_cast<size_t>(index_bytes));
  if (crc != footer.index_crc) throw error(ids_end, "its index is damaged");

  const auto take = [&]<typename T>(std::vector<T>* values, int64_t count) {
    values->resize(static_cast<size_t>(count));
    const size_t wanted = values->size() * sizeof(T);
    if (wanted > 0) std::memcpy(values->data(), at, wanted);
    at += wanted;
  };
  std::vector<uint32_t> name_sizes;
  take(&begins_, D + 1);
  take(&fingerprints_, D);
  take(&name_sizes, D);
  names_.assign(reinterpret_cast<const char*>(at),
                static_cast<size_t>(names_bytes));
  name_begins_ = {0};
  for (const uint32_t name_size : name_sizes) {
    name_begins_.push_back(name_begins_.back() + name_size);
  }
  if (begins_.front() != 0 || begins_.back() != tokens_ ||
      !std::is_sorted(begins_.begin(), begins_.end()) ||
      name_begins_.back() != names_bytes) {
    throw error(ids_end, "its documents do not add up");
  }
}

std::string_view TokenFile::name(int64_t document) const {
  const auto i = static_cast<size_t>(document);
  const int64_t begin = name_begins_[i];
  return std::string_view(names_).substr(
      static_cast<size_t>(begin),
      static_cast<size_t>(name_begins_[i + 1] - begin));
}

template <typename Id>
void TokenFile::Copy(int64_t begin, int64_t count, Id* out) const {
  ROPEWALK_CHECK(begin >= 0 && count >= 0 && begin + count <= tokens_);
  const std::byte* ids =
      file_.bytes().data() + sizeof(Header) + begin * id_bytes_;
  for (int64_t i = 0; i < count; ++i) {
    uint32_t id = 0;
    std::memcpy(&id, ids + i * id_bytes_, static_cast<size_t>(id_bytes_));
    if (id >= key_.vocabulary) {
      throw FormatError(
          file_.path(),
          static_cast<int64_t>(sizeof(Header)) + (begin + i) * id_bytes_,
          "token file: id " + std::to_string(id) +
              " is outside the vocabulary of " +
              std::to_string(key_.vocabulary));
    }
    out[i] = static_cast<Id>(id);
  }
}

template void TokenFile::Copy(int64_t, int64_t, int32_t*) const;
template void TokenFile::Copy(int64_t, int64_t, int64_t*) const;

std::vector<Token> TokenFile::Read(int64_t document) const {
  std::vector<Token> ids(static_cast<size_t>(size(document)));
  Copy(begin(document), size(document), ids.data());
  return ids;
}

void TokenFile::VerifyIds() const {
  const int64_t bytes = tokens_ * id_bytes_;
  const uint32_t crc = Crc32(0, file_.bytes().data() + sizeof(Header),
                             static_cast<size_t>(bytes + Padding(bytes)));
  if (crc != ids_crc_) {
    throw FormatError(file_.path(), sizeof(Header),
                      "token file: the ids are damaged");
  }
}

}  // namespace ropewalk::lab::data
