#include "serve/documents.h"

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "serve/api_error.h"

namespace ropewalk::serve {
namespace {

namespace fs = std::filesystem;

constexpr char kSuffix[] = ".memory";
constexpr size_t kMostDocumentNameBytes = 200;

std::string NewFolder() {
  std::string path = (fs::temp_directory_path() / "ropewalk-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) {
    throw IoError("cannot make a folder for uploads in '" +
                  Printable(fs::temp_directory_path().string(), 200) + "'");
  }
  return path;
}

}  // namespace

Documents::Documents(const Model& model, DocumentOptions options)
    : model_(model), options_(std::move(options)) {
  for (const std::string& path : options_.memories) {
    std::error_code error;
    if (!fs::is_directory(path, error)) {
      AddExisting(path);
      continue;
    }
    std::vector<std::string> files;
    for (const auto& file : fs::directory_iterator(path, error)) {
      if (file.path().extension() == kSuffix) {
        files.push_back(file.path().string());
      }
    }
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) AddExisting(file);
  }
  own_folder_ = options_.folder.empty();
  if (own_folder_) {
    options_.folder = NewFolder();
  } else {
    std::error_code error;
    fs::create_directories(options_.folder, error);
    if (error) {
      throw IoError("cannot make the folder '" +
                    Printable(options_.folder, 200) + "': " + error.message());
    }
    std::vector<std::string> files;
    for (const auto& file : fs::directory_iterator(options_.folder, error)) {
      if (file.path().extension() == kSuffix) {
        files.push_back(file.path().string());
      }
    }
    std::sort(files.begin(), files.end());
    for (const std::string& file : files) {
      try {
        AddExisting(file);
        documents_.back()->uploaded = true;
      } catch (const std::exception& broken) {
        std::fprintf(stderr, "ropewalk: passed over: %s\n", broken.what());
      }
    }
  }
  reader_ = std::thread([this] { ReadUploads(); });
}

Documents::~Documents() {
  {
    const std::scoped_lock lock(mutex_);
    stops_ = true;
  }
  changed_.notify_all();
  reader_.join();
  if (own_folder_) {
    std::error_code error;
    fs::remove_all(options_.folder, error);
  }
}

void Documents::AddExisting(const std::string& path) {
  auto document = std::make_shared<Document>();
  document->memory = Memory::Open(model_, path);
  document->path = path;
  document->info = {.id = "file-" + std::to_string(next_id_++),
                    .name = document->memory->name(),
                    .bytes = document->memory->bytes(),
                    .created = std::time(nullptr),
                    .status = "processed",
                    .tokens = document->memory->size(),
                    .read = document->memory->size()};
  documents_.push_back(std::move(document));
}

DocumentInfo Documents::Upload(const std::string& name,
                               const std::string& text) {
  if (text.empty()) throw ApiError(400, "the file is empty", "file");
  if (const auto broken = FindInvalidUtf8(text)) {
    throw ApiError(
        400,
        "the file is not text in UTF-8 (byte " + std::to_string(*broken) + ")",
        "file");
  }
  if (FindInvalidUtf8(name) || name.empty() ||
      name.size() > kMostDocumentNameBytes) {
    throw ApiError(400,
                   "the name of the file must be UTF-8 of 1 to " +
                       std::to_string(kMostDocumentNameBytes) + " bytes",
                   "file");
  }
  auto document = std::make_shared<Document>();
  document->uploaded = true;
  document->text = text;
  std::random_device random;
  const std::string id = std::to_string(random()) + std::to_string(random());
  document->info = {.id = "file-" + id,
                    .name = name,
                    .bytes = static_cast<int64_t>(text.size()),
                    .created = std::time(nullptr),
                    .status = "uploaded"};
  // The reader changes its own as soon as it is listed.
  const DocumentInfo info = document->info;
  // The name of the file on disk is ours alone.
  document->path = (fs::path(options_.folder) / (id + kSuffix)).string();
  {
    const std::scoped_lock lock(mutex_);
    const auto uploads =
        std::count_if(documents_.begin(), documents_.end(),
                      [](const Shared& other) { return other->uploaded; });
    if (uploads >= options_.most_files) {
      throw ApiError(400,
                     "this server keeps at most " +
                         std::to_string(options_.most_files) +
                         " files; delete one first",
                     "file");
    }
    documents_.push_back(document);
    unread_.push_back(document);
  }
  changed_.notify_all();
  return info;
}

void Documents::ReadUploads() {
  for (;;) {
    Shared document;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return stops_ || !unread_.empty(); });
      if (stops_) return;
      document = std::move(unread_.front());
      unread_.pop_front();
    }
    try {
      ReadOne(*document);
    } catch (const std::exception& error) {
      const std::scoped_lock lock(mutex_);
      document->info.status = "error";
      document->info.error = error.what();
      document->text.clear();
    }
  }
}

void Documents::ReadOne(Document& document) {
  const std::vector<Token> tokens = model_.tokenizer().Encode(document.text);
  {
    const std::scoped_lock lock(mutex_);
    document.info.tokens = static_cast<int64_t>(tokens.size());
  }
  const bool done = Memory::Remember(model_, tokens, document.path,
                                     {.name = document.info.name,
                                      .source = document.info.name,
                                      .kv_type = options_.kv_type},
                                     [&](int64_t read, int64_t all) {
                                       const std::scoped_lock lock(mutex_);
                                       document.info.read = std::min(read, all);
                                       return !stops_ && !document.deleted;
                                     });
  std::error_code error;
  if (!done || document.deleted) {
    fs::remove(document.path, error);
    return;
  }
  Memory memory = Memory::Open(model_, document.path);
  const std::scoped_lock lock(mutex_);
  document.memory = std::move(memory);
  document.info.read = document.info.tokens;
  document.info.status = "processed";
  document.text.clear();
}

std::vector<DocumentInfo> Documents::List() const {
  const std::scoped_lock lock(mutex_);
  std::vector<DocumentInfo> all;
  for (const Shared& document : documents_) all.push_back(document->info);
  return all;
}

// By id, else by name, the last uploaded first. The mutex is held.
Documents::Shared Documents::FindShared(const std::string& name) const {
  for (const Shared& document : documents_) {
    if (document->info.id == name) return document;
  }
  for (auto at = documents_.rbegin(); at != documents_.rend(); ++at) {
    if ((*at)->info.name == name) return *at;
  }
  return nullptr;
}

DocumentInfo Documents::Find(const std::string& id) const {
  const std::scoped_lock lock(mutex_);
  const Shared document = FindShared(id);
  if (document == nullptr) {
    throw ApiError(404, "there is no file '" + Printable(id, 100) + "'", "id");
  }
  return document->info;
}

void Documents::Delete(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  const Shared document = FindShared(id);
  if (document == nullptr) {
    throw ApiError(404, "there is no file '" + Printable(id, 100) + "'", "id");
  }
  if (!document->uploaded) {
    throw ApiError(403,
                   "'" + Printable(id, 100) +
                       "' was there when the server started; only uploads are "
                       "deleted",
                   "id");
  }
  document->deleted = true;
  std::erase(documents_, document);
  std::erase(unread_, document);
  std::error_code error;
  fs::remove(document->path, error);
}

std::vector<OpenDocument> Documents::Open(
    const std::vector<std::string>& names) const {
  const std::scoped_lock lock(mutex_);
  std::vector<OpenDocument> open;
  for (const std::string& name : names) {
    const Shared document = FindShared(name);
    if (document == nullptr) {
      throw ApiError(400,
                     "there is no memory '" + Printable(name, 100) +
                         "'; GET /v1/files lists those there are",
                     "memories");
    }
    if (!document->memory) {
      const bool failed = document->info.status == "error";
      throw ApiError(
          400,
          "'" + Printable(name, 100) +
              (failed ? "' could not be read: " + document->info.error
                      : "' is still being read: " +
                            std::to_string(document->info.read) + " of " +
                            std::to_string(document->info.tokens) + " tokens"),
          "memories", failed ? "" : "not_ready");
    }
    open.push_back({document->info.id, *document->memory});
  }
  return open;
}

}  // namespace ropewalk::serve
