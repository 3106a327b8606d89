// Documents that requests name: memories that were there, and files that
// clients upload, which are read once into memories.

#ifndef ROPEWALK_SERVE_DOCUMENTS_H_
#define ROPEWALK_SERVE_DOCUMENTS_H_

#include <ropewalk/memory.h>
#include <ropewalk/model.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace ropewalk::serve {

struct DocumentOptions {
  // Folders and files of memories, as `ropewalk remember` makes them.
  std::vector<std::string> memories;
  // Where uploads are kept; empty: in a folder that goes with the server.
  std::string folder;
  KvType kv_type = KvType::kF16;
  int64_t most_files = 256;  // uploads
};

// What /v1/files shows.
struct DocumentInfo {
  std::string id;
  std::string name;
  int64_t bytes = 0;    // of its text, or of its memory where there is no text
  int64_t created = 0;  // seconds since 1970
  std::string status;   // "uploaded", "processed", "error"
  std::string error;    // why
  int64_t tokens = 0;
  int64_t read = 0;
};

struct OpenDocument {
  std::string id;
  Memory memory;
};

// Any thread. A thread of its own reads what is uploaded, one after another.
class Documents {
 public:
  // Throws IoError, and FormatError or std::invalid_argument for a memory that
  // is damaged or another model's.
  Documents(const Model& model, DocumentOptions options);
  ~Documents();

  // Throws ApiError(400) for a text that is empty or not UTF-8 and for too many
  // files.
  DocumentInfo Upload(const std::string& name, const std::string& text);
  std::vector<DocumentInfo> List() const;
  // Throw ApiError(404) where there is no such id.
  DocumentInfo Find(const std::string& id) const;
  // Requests that attend to it go on. ApiError(403) for a memory that was there
  // when the server started.
  void Delete(const std::string& id);

  // Memories by id or name. Throws ApiError(400, ..., "memories") for one that
  // does not exist or is not read yet.
  std::vector<OpenDocument> Open(const std::vector<std::string>& names) const;

 private:
  struct Document {
    DocumentInfo info;
    std::string path;  // of the memory
    std::string text;  // until it is read
    std::optional<Memory> memory;
    bool uploaded = false;
    std::atomic<bool> deleted = false;
  };
  using Shared = std::shared_ptr<Document>;

  void AddExisting(const std::string& path);
  void ReadUploads();
  void ReadOne(Document& document);
  Shared FindShared(const std::string& name) const;

  Model model_;
  DocumentOptions options_;
  bool own_folder_ = false;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Shared> documents_;
  std::deque<Shared> unread_;
  std::atomic<bool> stops_ = false;
  int64_t next_id_ = 0;
  std::thread reader_;
};

}  // namespace ropewalk::serve

#endif  // ROPEWALK_SERVE_DOCUMENTS_H_
