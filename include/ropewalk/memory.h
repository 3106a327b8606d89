// A memory: the keys and values of a document that was read once, kept in a
// file, for any text of the same model to attend to.
//
//   ropewalk::Memory::Remember(model, ids, "letters.memory",
//                              {.name = "letters"});
//   const ropewalk::Memory memories[] = {
//       ropewalk::Memory::Open(model, "letters.memory")};
//   ropewalk::Session session(model);
//   session.Attach(memories);
//   session.Read(model.tokenizer().Encode("Who wrote to Anna?"));
//
// A document is read alone, in parts, so that reading it does not depend on the
// texts that will attend to it.

#ifndef ROPEWALK_MEMORY_H_
#define ROPEWALK_MEMORY_H_

#include <ropewalk/export.h>
#include <ropewalk/model.h>
#include <ropewalk/session.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace ropewalk {

struct RememberOptions {
  std::string name = {};    // of the memory, UTF-8
  std::string source = {};  // where the document came from, UTF-8
  // Tokens that are read together, at most the trained length; longer documents
  // are cut. 0: 2048, or the trained length if that is less.
  int64_t part = 0;
  // Tokens before a part that are read with it and left out, so that its first
  // tokens have seen something. Less than `part`.
  int64_t overlap = 128;
  // Sessions that attend to the memory must have the same.
  KvType kv_type = KvType::kF16;
};

// A handle: copies share one memory. Immutable, for any number of threads. Keys
// and values stay in a map of the file, which must not be changed while it is
// in use; replacing it by another of the same name is safe. A moved-from object
// may only be assigned to or destroyed.
class ROPEWALK_EXPORT Memory {
 public:
  // Reads `document`, ids without a begin token, and writes its memory to
  // `path`. Asks `go_on` after each pass, with the tokens read so far, overlaps
  // and begin tokens included, and the tokens of the document. Returns true
  // once the file is there, and false, with any older file as it was, if
  // `go_on` said no. Throws std::invalid_argument for options out of range, an
  // empty document and ids outside the vocabulary, FormatError where the model
  // has no vocabulary, MemoryLimitError and IoError.
  static bool Remember(const Model& model, std::span<const Token> document,
                       const std::string& path,
                       const RememberOptions& options = {},
                       const ReadCallback& go_on = {});

  // Throws IoError, FormatError for a file that is damaged or no memory, and
  // std::invalid_argument for one of another model, trained length or kind of
  // products.
  static Memory Open(const Model& model, const std::string& path);

  Memory(const Memory&);
  Memory(Memory&&) noexcept;
  Memory& operator=(const Memory&);
  Memory& operator=(Memory&&) noexcept;
  ~Memory();

  std::string name() const;
  std::string source() const;
  int64_t size() const;   // tokens of the document
  int64_t parts() const;  // that were read together
  int64_t bytes() const;  // of keys and values in the file
  KvType kv_type() const;

 private:
  friend class Session;
  struct Parts;

  explicit Memory(std::shared_ptr<const Parts> parts);

  std::shared_ptr<const Parts> parts_;
};

}  // namespace ropewalk

#endif  // ROPEWALK_MEMORY_H_
