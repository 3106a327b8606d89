#include "engine/generate.h"

#include <memory>
#include <string>

#include "base/error.h"
#include "engine/batch.h"
#include "engine/writer.h"
#include "model/workspace.h"

namespace ropewalk::engine {

std::vector<GenerateResult> Generate(std::span<GenerateJob> jobs) {
  std::vector<GenerateResult> results(jobs.size());
  if (jobs.empty()) return results;
  Engine& engine = jobs.front().session->engine();
  // All that is known to be wrong is told before a callback is called.
  int64_t bytes = 0;
  for (GenerateJob& job : jobs) {
    Require(&job.session->engine() == &engine,
            "texts that are generated together belong to one model");
    for (const GenerateJob& other : jobs) {
      Require(&other == &job || other.session != job.session,
              "a session stands in two texts that are generated together");
    }
    const Writer checked(job, {});
    bytes += job.session->BytesToReach(job.session->size() +
                                       static_cast<int64_t>(job.prompt.size()));
  }
  engine.workspace().pool()->RequireRoom(bytes);
  Batch batch(engine);
  for (GenerateJob& job : jobs) batch.Add(job);
  while (batch.size() > 0) {
    for (const Batch::Ended& ended : batch.Step()) {
      if (ended.error != nullptr) std::rethrow_exception(ended.error);
      results[static_cast<size_t>(ended.number)] = ended.result;
    }
  }
  return results;
}

GenerateResult Generate(GenerateJob job) {
  return Generate(std::span(&job, 1)).front();
}

}  // namespace ropewalk::engine
